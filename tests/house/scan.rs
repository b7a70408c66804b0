//! A reading of Rust source just good enough for the house rules: tokens, the paths they name, attributes.
//!
//! It works on tokens and not on a syntax tree, so that the insides of macro calls are read too. Comments are
//! dropped; a string stays one token that no rule mistakes for code.

/// One token and the line it starts on, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path that starts at a known root, spelt out from that root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// `["crate", "raw", "slot"]`, or `["std", "sync", "Arc"]`; `*` for a glob.
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// The module it is written in, inline modules included: `["raw", "slot", "tests"]`.
    pub(crate) within: Vec<String>,
}

/// An attribute, and the first tokens of what it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) tokens: Vec<Token>,
    /// The item's keyword and name without its visibility, such as `["mod", "raw"]`; empty for `#![..]`.
    pub(crate) item: Vec<String>,
}

/// Splits `source` into tokens, without comments.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let end = end_of(&text, at);
        let piece: String = text[at..end].iter().collect();
        let comment = piece.starts_with("//") || piece.starts_with("/*");
        if !comment && !piece.trim().is_empty() {
            found.push(Token { text: piece.trim_start_matches("r#").to_owned(), line });
        }
        line += text[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    found
}

/// Where the comment, literal, word or mark that starts at `at` ends.
fn end_of(text: &[char], at: usize) -> usize {
    let next = |ahead: usize| text.get(at + ahead).copied().unwrap_or('\0');
    match next(0) {
        '/' if next(1) == '/' => position(text, at, |c| c == '\n'),
        '/' if next(1) == '*' => block_comment(text, at),
        '"' => quoted(text, at + 1, '"'),
        '\'' if next(1) == '\\' => quoted(text, at + 1, '\''),
        '\'' if next(2) == '\'' => at + 3,
        '\'' => word(text, at + 1),
        ':' if next(1) == ':' => at + 2,
        c if is_word(c) => prefixed(text, at),
        _ => at + 1,
    }
}

/// A word, or the string that the word is a prefix of: `r"..."`, `br#"..."#`, `c"..."`, `b'x'`.
fn prefixed(text: &[char], at: usize) -> usize {
    let end = word(text, at);
    let prefix: String = text[at..end].iter().collect();
    let hashes = text[end..].iter().take_while(|c| **c == '#').count();
    match (prefix.as_str(), text.get(end + hashes)) {
        ("r" | "br" | "cr", Some('"')) => raw_string(text, end + hashes + 1, hashes),
        ("b" | "c", Some('"')) if hashes == 0 => quoted(text, end + 1, '"'),
        ("b", Some('\'')) if hashes == 0 => quoted(text, end + 1, '\''),
        ("r", Some(c)) if hashes == 1 && is_word(*c) => word(text, end + 1),
        _ => end,
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word(text: &[char], from: usize) -> usize {
    position(text, from, |c| !is_word(c))
}

fn position(text: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    text[from..].iter().position(|c| stop(*c)).map_or(text.len(), |ahead| from + ahead)
}

fn quoted(text: &[char], mut at: usize, quote: char) -> usize {
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw_string(text: &[char], mut at: usize, hashes: usize) -> usize {
    while at < text.len() {
        let closed = text[at] == '"' && text[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        at += 1;
        if closed {
            return at + hashes;
        }
    }
    text.len()
}

fn block_comment(text: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Every path in `tokens` that starts at a root: this crate (by `crate`, by its name, or by `super` and `self`),
/// `std`, `core` or `loom`. `module` is the module that the file is.
pub(crate) fn named(tokens: &[Token], module: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    for at in 0..tokens.len() {
        match tokens[at].text.as_str() {
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2].text == "mod" {
                    inline.push((tokens[at - 1].text.clone(), depth));
                }
            }
            "}" => {
                inline.retain(|(_, opened)| *opened != depth);
                depth -= usize::from(depth > 0);
            }
            _ => {
                let within: Vec<String> = module.iter().cloned().chain(inline.iter().map(|(n, _)| n.clone())).collect();
                if let Some(start) = root(tokens, at, &within) {
                    let line = tokens[at].line;
                    let mut paths = Vec::new();
                    branch(tokens, start.next, start.path, &mut paths);
                    found.extend(paths.into_iter().map(|path| Named { path, line, within: within.clone() }));
                }
            }
        }
    }
    found
}

struct Start {
    path: Vec<String>,
    /// The token behind the root.
    next: usize,
}

/// The root that stands at `at`, if one does and it opens a path.
fn root(tokens: &[Token], at: usize, within: &[String]) -> Option<Start> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let before = if at == 0 { "" } else { text(at - 1) };
    // `a::std` names a child; `in crate::x` is a visibility and brings nothing in.
    if (before == "::" && at >= 2 && is_name(text(at - 2))) || before == "in" {
        return None;
    }
    let next = at + 1;
    if !matches!(text(next), "::" | "as") {
        return None;
    }
    let home = || [String::from("crate")].into_iter();
    match text(at) {
        "crate" | "ebbtide" => Some(Start { path: home().collect(), next }),
        name @ ("std" | "core" | "loom") => Some(Start { path: vec![name.to_owned()], next }),
        "self" => Some(Start { path: home().chain(within.iter().cloned()).collect(), next }),
        "super" => {
            let kept = within.len().saturating_sub(1);
            Some(Start { path: home().chain(within[..kept].iter().cloned()).collect(), next })
        }
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphabetic()) && !matches!(text, "use" | "in" | "as" | "return")
}

/// Follows a path and its groups from `at`, and returns the token behind it.
fn branch(tokens: &[Token], mut at: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    while text(at) == "::" {
        match text(at + 1) {
            "{" => return group(tokens, at + 2, &path, found),
            "self" => {}
            "super" => up(&mut path),
            name if name == "*" || is_name(name) => path.push(name.to_owned()),
            _ => break,
        }
        at += 2;
    }
    found.push(path);
    at
}

/// One module up, and no further than the root.
fn up(path: &mut Vec<String>) {
    if path.len() > 1 {
        path.pop();
    }
}

/// Follows the branches of a `{..}` whose first token is at `at`, and returns the token behind its end.
fn group(tokens: &[Token], mut at: usize, path: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    while at < tokens.len() && text(at) != "}" {
        let mut longer = path.to_vec();
        match text(at) {
            "self" => {}
            "super" => up(&mut longer),
            name => longer.push(name.to_owned()),
        }
        at = if text(at) == "{" { group(tokens, at + 1, path, found) } else { branch(tokens, at + 1, longer, found) };
        if text(at) == "as" {
            at += 2;
        }
        at += usize::from(text(at) == ",");
    }
    at + 1
}

/// Every attribute in `tokens`.
pub(crate) fn attributes(tokens: &[Token]) -> Vec<Attribute> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let inner = text(at + 1) == "!";
        let open = at + 1 + usize::from(inner);
        if text(at) == "#" && text(open) == "[" {
            let end = close(tokens, open);
            let item = if inner { Vec::new() } else { item(tokens, end) };
            found.push(Attribute { tokens: tokens[open + 1..end - 1].to_vec(), item });
        }
    }
    found
}

/// The first two words of the item at `at`, behind its other attributes and its visibility.
fn item(tokens: &[Token], mut at: usize) -> Vec<String> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    loop {
        match (text(at), text(at + 1)) {
            ("#", "[") => at = close(tokens, at + 1),
            ("pub", "(") => at = close(tokens, at + 1),
            ("pub", _) => at += 1,
            (first, second) => return vec![first.to_owned(), second.to_owned()],
        }
    }
}

/// The token behind the bracket that closes the one at `open`.
fn close(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "[" | "(" | "{" => depth += 1,
            "]" | ")" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

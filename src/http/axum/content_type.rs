//! Which content types say that a body is JSON: those that axum takes, no more and no fewer.
//!
//! A type is read strictly. `application/json ; charset=utf-8` is none: where a server is lenient, a proxy in front of it
//! may have read something else.

use http::{HeaderMap, header};

/// Whether the content type is `application/json` or `application/*+json`, with any parameters.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    kind.eq_ignore_ascii_case("application") && is_token(subtype) && names_json(subtype) && are_parameters(parameters)
}

/// Before the last plus, or behind it.
fn names_json(subtype: &str) -> bool {
    let (base, suffix) = match subtype.rsplit_once('+') {
        Some((base, suffix)) if !base.is_empty() => (base, suffix),
        _ => (subtype, ""),
    };
    [base, suffix].iter().any(|part| part.eq_ignore_ascii_case("json"))
}

/// `name=value` or `name="value"`, by semicolons; nothing at all will do.
fn are_parameters(parameters: &str) -> bool {
    let mut rest = parameters.trim_start_matches(' ');
    while !rest.is_empty() {
        let Some((name, value)) = rest.split_once('=') else { return false };
        let Some(after) = is_token(name).then(|| behind_value(value)).flatten() else { return false };
        rest = after.trim_start_matches(' ');
    }
    true
}

/// What stands behind the value and its semicolon; `None` if there is no value.
fn behind_value(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (_, after) = quoted.split_once('"')?;
        let after = after.trim_start_matches(' ');
        return if after.is_empty() { Some(after) } else { after.strip_prefix(';') };
    }
    match text.split_once(';') {
        Some((value, after)) => is_token(value).then_some(after),
        None => (text.is_empty() || is_token(text)).then_some(""),
    }
}

/// A word of a header, by RFC 9110.
fn is_token(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(of_token)
}

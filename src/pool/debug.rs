//! Switches for a value that is suspected: of a pool, by its builder, or of all pools of the process, by its environment.

use super::records;
use core::fmt;
use std::io::Write;
use std::sync::OnceLock;

/// The environment variable that switches for the whole process.
const VARIABLE: &str = "EBBTIDE_POOLS";

const NO_POOL: u8 = 1;
const POISON: u8 = 2;
const VERIFY: u8 = 4;
/// Of the whole process only.
const LEAKS: u8 = 8;

/// What each bit is called in the environment.
const WORDS: [(&str, u8); 4] = [("no-pool", NO_POOL), ("poison", POISON), ("verify", VERIFY), ("leaks", LEAKS)];

/// Switches that look for a fault in how values are used: see ["When a value is
/// suspected"](crate::pool#when-a-value-is-suspected).
///
/// What the environment variable `EBBTIDE_POOLS` names (a list such as `poison,verify`, read once, at the first pool of the
/// process) is on in every pool, whatever its builder says. A word that it does not know is named on stderr. `leaks` is for the
/// whole process only: what is on lease when it ends is named on stderr, and the process ends with the code 86; what is taken in
/// [`leaked_on_purpose`](crate::observe::leaked_on_purpose) is left out.
///
/// **Cost**: none when off. `no_pool` is an allocation a `get`; `poison` is a write over all spare room for each return;
/// `verify` is a full fence and a look at the value for each `get`.
///
/// # Examples
///
/// ```
/// use ebbtide::{DropReason, Pool, PoolDebug};
///
/// let pool = Pool::builder().debug(PoolDebug::none().no_pool()).build(String::new);
/// drop(pool.get());
/// assert_eq!(pool.stats().drops(DropReason::NotPooled), 1);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "switches do nothing until a builder gets them"]
pub struct PoolDebug(u8);

impl PoolDebug {
    /// The byte that poisoned room is filled with.
    pub const POISON: u8 = 0xEB;

    /// All off: what a builder begins with.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Keeps nothing: each value is reset and then freed when it comes back, so that AddressSanitizer or valgrind sees a use
    /// after that. In the environment: `no-pool`.
    pub const fn no_pool(self) -> Self {
        Self(self.0 | NO_POOL)
    }

    /// Overwrites what a value keeps but no longer shows, when it comes back, by [`Reset::poison`](crate::Reset::poison);
    /// and all of a buffer. In the environment: `poison`.
    pub const fn poison(self) -> Self {
        Self(self.0 | POISON)
    }

    /// Looks at each value before it is lent again, by [`Reset::is_clean`](crate::Reset::is_clean), and drops one that was
    /// changed while it waited; with `poison`, also a buffer whose poison was overwritten. In the environment: `verify`.
    pub const fn verify(self) -> Self {
        Self(self.0 | VERIFY)
    }

    pub(super) const fn has_no_pool(self) -> bool {
        self.0 & NO_POOL != 0
    }

    pub(super) const fn has_poison(self) -> bool {
        self.0 & POISON != 0
    }

    pub(super) const fn has_verify(self) -> bool {
        self.0 & VERIFY != 0
    }

    /// These, and those of the environment.
    pub(super) fn or_of_process(self) -> Self {
        static PROCESS: OnceLock<PoolDebug> = OnceLock::new();
        let process = PROCESS.get_or_init(|| {
            let list = std::env::var_os(VARIABLE).unwrap_or_default();
            let (switches, unknown) = Self::parse(&list.to_string_lossy());
            if !unknown.is_empty() {
                // A process whose stderr is gone runs on.
                let _ = writeln!(std::io::stderr(), "ebbtide: {VARIABLE}: unknown: {}", unknown.join(", "));
            }
            if switches.0 & LEAKS != 0 {
                records::watch_process();
            }
            Self(switches.0 & !LEAKS)
        });
        Self(self.0 | process.0)
    }

    /// The switches of a list, and the words that are none.
    fn parse(list: &str) -> (Self, Vec<String>) {
        let mut switches = Self::none();
        let mut unknown = Vec::new();
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match WORDS.iter().find(|(name, _)| *name == word) {
                Some((_, bit)) => switches.0 |= bit,
                None => unknown.push(format!("{word:?}")),
            }
        }
        (switches, unknown)
    }
}

impl fmt::Debug for PoolDebug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(WORDS.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::PoolDebug;

    #[test]
    fn a_list_is_read_word_by_word() {
        let all = PoolDebug::none().no_pool().poison().verify();
        assert_eq!(PoolDebug::parse("no-pool,poison,verify"), (all, vec![]));
        assert_eq!(PoolDebug::parse(""), (PoolDebug::none(), vec![]));
        let (switches, unknown) = PoolDebug::parse(" verify , Poison,,2");
        assert_eq!(
            (switches, unknown),
            (PoolDebug::none().verify(), vec!["\"Poison\"".to_owned(), "\"2\"".to_owned()])
        );
    }

    #[test]
    fn each_switch_is_its_own() {
        let has = |switches: PoolDebug| (switches.has_no_pool(), switches.has_poison(), switches.has_verify());
        assert_eq!(has(PoolDebug::none()), (false, false, false));
        assert_eq!(has(PoolDebug::none().no_pool()), (true, false, false));
        assert_eq!(has(PoolDebug::none().poison()), (false, true, false));
        assert_eq!(has(PoolDebug::none().verify()), (false, false, true));
        assert_eq!(format!("{:?}", PoolDebug::none().verify().no_pool()), r#"{"no-pool", "verify"}"#);
    }
}

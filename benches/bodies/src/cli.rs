//! What the three programs are asked.

use std::io;

/// The command line.
#[derive(Default)]
pub(crate) struct Wish {
    /// Fewer rounds and sizes.
    pub(crate) quick: bool,
    /// A missed bar is a failure.
    pub(crate) check: bool,
    rounds: Option<usize>,
    only: Vec<String>,
}

/// Fewer say nothing.
pub(crate) const FEWEST: usize = 15;

impl Wish {
    #[cfg(test)]
    pub(crate) fn checking() -> Self {
        Self { check: true, ..Self::default() }
    }

    /// Reads the command line; `None` if `help` was asked for, which is printed.
    pub(crate) fn read(help: &str) -> io::Result<Option<Self>> {
        let mut wish = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => wish.quick = true,
                "--check" => wish.check = true,
                "--rounds" => wish.rounds = arguments.next().and_then(|rounds| rounds.parse().ok()),
                "--help" | "-h" => {
                    print!("{help}");
                    return Ok(None);
                }
                part if !part.starts_with('-') => wish.only.push(part.to_owned()),
                other => return Err(io::Error::other(format!("{other} is not known; `--help` explains everything"))),
            }
        }
        Ok(Some(wish))
    }

    /// Whether the table `part` is asked for: all are, unless some are named.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }

    /// Whether the table `part` was asked for by its name.
    pub(crate) fn names(&self, part: &str) -> bool {
        self.only.iter().any(|name| name == part)
    }

    pub(crate) fn rounds(&self, full: usize) -> usize {
        self.rounds.unwrap_or(if self.quick { FEWEST } else { full })
    }
}

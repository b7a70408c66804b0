//! The derive macro of ebbtide's `Reset`, in a crate of its own as Rust wants it: use it through ebbtide's feature
//! `derive`.
//!
//! `action` reads what the attributes of a field ask for, `expand` writes the impl.

mod action;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Implements `ebbtide::Reset` for a struct by resetting every field, so that none can be forgotten.
///
/// `reset` goes through the fields in the order of their declaration, and through all of them whatever one says:
/// the value is kept if every field wants to be kept. `retained_bytes` and `used_bytes` are the sums of the fields'.
/// `poison` and `is_clean` ask every field that has no attribute.
/// A field whose type has no `Reset` must say what becomes of it, or the struct does not compile:
///
/// | attribute of the field | its reset | its bytes |
/// |---|---|---|
/// | none | that of its type | those of its type |
/// | `#[reset(default)]` | it becomes `Default::default()` | none |
/// | `#[reset(with = ..)]` | a function, or a closure that captures nothing, is called with `&mut field`; it returns `()` or `ebbtide::Verdict` | none |
/// | `#[reset(skip)]` | it stays as it is, and **the next user of the value sees it** | none |
///
/// A pool's bounds do not see bytes that are not counted: where such a field keeps much, implement `Reset` by hand.
///
/// In a generic struct each field type that names a parameter gets a bound of its own: `Vec<T>` asks nothing of `T`, and
/// a field of type `T` asks for `T: Reset`, or for `T: Default` under `#[reset(default)]`.
///
/// Enums and unions are refused. The code names the crate as `::ebbtide`.
///
/// **Cost**: that of the fields' resets; nothing is allocated or boxed.
///
/// # Examples
///
/// ```
/// use ebbtide::{Pool, Reset, Verdict};
/// use std::{path::PathBuf, time::Instant};
///
/// #[derive(Reset)]
/// struct Parser {
///     tokens: Vec<u32>,
///     depth: usize,
///     #[reset(default)]
///     started: Option<Instant>,
///     #[reset(with = PathBuf::clear)]
///     file: PathBuf,
///     #[reset(with = |seen| if *seen > 3 { Verdict::Discard } else { Verdict::Keep })]
///     errors: u32,
///     /// The same for all users.
///     #[reset(skip)]
///     name: &'static str,
/// }
///
/// let pool = Pool::new(|| Parser {
///     tokens: Vec::new(),
///     depth: 0,
///     started: None,
///     file: PathBuf::new(),
///     errors: 0,
///     name: "json",
/// });
/// {
///     let mut parser = pool.get();
///     parser.tokens.push(7);
///     parser.depth = 2;
///     parser.started = Some(Instant::now());
///     parser.file.push("data.json");
/// }
/// let parser = pool.get();
/// assert!(parser.tokens.is_empty() && parser.depth == 0 && parser.started.is_none());
/// assert_eq!((parser.file.as_os_str().len(), parser.name), (0, "json"));
/// ```
#[proc_macro_derive(Reset, attributes(reset))]
pub fn derive_reset(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::reset(&input).unwrap_or_else(Error::into_compile_error).into()
}

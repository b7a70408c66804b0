//! What becomes of a field: the attribute `#[reset(..)]`, read.

use syn::{Attribute, Error, Expr, Result};

/// What the reset of a struct does with one field.
pub(crate) enum Action {
    /// Calls the `Reset` of its type; what happens without an attribute.
    Reset,
    /// Puts `Default::default()` there.
    Default,
    /// Calls a function with it.
    With(Expr),
    /// Leaves it alone.
    Skip,
}

impl Action {
    /// Reads the attributes of a field. Only one of them may ask for something.
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut found = None;
        for attribute in ours(attributes) {
            let mut empty = true;
            attribute.parse_nested_meta(|meta| {
                empty = false;
                let action = if meta.path.is_ident("skip") {
                    Self::Skip
                } else if meta.path.is_ident("default") {
                    Self::Default
                } else if meta.path.is_ident("with") {
                    Self::With(meta.value()?.parse()?)
                } else {
                    return Err(meta.error("unknown: a field takes `skip`, `default` or `with = ..`"));
                };
                match found.replace(action) {
                    None => Ok(()),
                    Some(_) => Err(meta.error("a field takes only one of `skip`, `default` and `with = ..`")),
                }
            })?;
            if empty {
                return Err(Error::new_spanned(attribute, "expected `skip`, `default` or `with = ..`"));
            }
        }
        Ok(found.unwrap_or(Self::Reset))
    }
}

/// Refuses the attribute where it would do nothing.
pub(crate) fn refuse(attributes: &[Attribute]) -> Result<()> {
    match ours(attributes).next() {
        None => Ok(()),
        Some(attribute) => Err(Error::new_spanned(attribute, "`#[reset(..)]` belongs to a field")),
    }
}

fn ours(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("reset"))
}

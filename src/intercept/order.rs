//! The order of a chain: what stands in it, and what asks to stand inside of what.

use core::any::{TypeId, type_name};
use core::fmt;

/// A type that interceptors can ask for.
#[derive(Clone, Copy, Debug)]
struct Kind {
    id: TypeId,
    name: &'static str,
}

impl Kind {
    fn of<I: 'static>() -> Self {
        Self { id: TypeId::of::<I>(), name: type_name::<I>() }
    }
}

/// What an interceptor asks of the chain that it stands in: see [`Interceptor::order`](super::Interceptor::order).
#[derive(Debug, Default)]
pub struct Order {
    after: Vec<Kind>,
}

impl Order {
    /// Asks for an interceptor of type `I` further out: its `before` runs earlier.
    pub fn after<I: 'static>(&mut self) -> &mut Self {
        self.after.push(Kind::of::<I>());
        self
    }
}

/// One interceptor's place in a chain.
#[derive(Debug)]
struct Place {
    kind: Kind,
    name: &'static str,
    state_bytes: usize,
    order: Order,
}

/// What stands in a chain, from the outside in. It prints as a table.
///
/// # Examples
///
/// ```
/// use ebbtide::{Chain, Interceptor};
///
/// struct Log;
/// impl Interceptor<u32, u32> for Log {
///     type State = (u64, u64);
///     fn name(&self) -> &'static str {
///         "log"
///     }
/// }
/// let text = Chain::new().with(Log).describe::<u32, u32>().to_string();
/// assert_eq!(text, "interceptor  state in bytes\nlog          16\n");
/// ```
#[derive(Debug, Default)]
pub struct Description {
    places: Vec<Place>,
}

impl Description {
    /// Notes one interceptor, inside of those that are there.
    pub(super) fn push<I: 'static>(&mut self, name: &'static str, state_bytes: usize, order: Order) {
        self.places.push(Place { kind: Kind::of::<I>(), name, state_bytes, order });
    }

    /// The names, from the outside in, and the size of a state in bytes, without what it points to.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, usize)> {
        self.places.iter().map(|place| (place.name, place.state_bytes))
    }

    /// Whether each interceptor stands inside of all that it asked for.
    pub(super) fn check(&self) -> Result<(), OrderError> {
        for (at, place) in self.places.iter().enumerate() {
            let outer = &self.places[..at];
            let missing = place.order.after.iter().find(|asked| !outer.iter().any(|it| it.kind.id == asked.id));
            if let Some(asked) = missing {
                let is_inside = self.places[at..].iter().any(|it| it.kind.id == asked.id);
                return Err(OrderError { interceptor: place.name, after: asked.name, is_inside });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: &str = "interceptor";
        let width = self.places.iter().map(|place| place.name.len()).fold(HEAD.len(), usize::max);
        writeln!(f, "{HEAD:width$}  state in bytes")?;
        for place in &self.places {
            writeln!(f, "{:width$}  {}", place.name, place.state_bytes)?;
        }
        Ok(())
    }
}

/// A chain whose order is not what one of its interceptors asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderError {
    interceptor: &'static str,
    after: &'static str,
    is_inside: bool,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interceptor, after, is_inside } = self;
        let but = if *is_inside { "stands inside of it" } else { "is not in the chain" };
        write!(f, "interceptor `{interceptor}` must stand after `{after}`, which {but}")
    }
}

impl core::error::Error for OrderError {}

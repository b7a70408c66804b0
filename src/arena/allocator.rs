//! The cursor, lent to collections through the allocator API.

use super::{Arena, ArenaAlloc};

impl<'s> Arena<'s> {
    /// Lends the cursor to collections that take an allocator, for as long as it is borrowed. Feature `allocator-api2`.
    ///
    /// ```
    /// use ebbtide::Scopes;
    /// use hashbrown::{DefaultHashBuilder, HashMap};
    ///
    /// let request = Scopes::new().begin();
    /// let scope = request.scope();
    /// let mut arena = scope.arena();
    /// let name: &str = arena.alloc_str("ada");
    ///
    /// let mut visits = HashMap::with_hasher_in(DefaultHashBuilder::default(), arena.allocator());
    /// visits.insert(name, 1);
    /// assert_eq!(visits[name], 1);
    /// ```
    pub fn allocator(&mut self) -> ArenaAlloc<'_, 's> {
        self.0.allocator()
    }
}

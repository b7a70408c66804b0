//! `Reset` for plain values, which keep nothing on the heap, and for what wraps other values: made for structs that
//! derive it.

use super::reset::{Reset, Verdict, both, sum};
use core::marker::PhantomData;
use core::mem::size_of_val;
use std::time::Duration;

/// Sixteen impls that differ in the type only: it becomes its default, which is zero, `false` or `'\0'`.
macro_rules! becomes_default {
    ($($plain:ty)*) => {$(
        /// Becomes its default.
        impl Reset for $plain {
            fn reset(&mut self) -> Verdict {
                *self = <$plain>::default();
                Verdict::Keep
            }
            fn is_clean(&self) -> bool {
                *self == <$plain>::default()
            }
        }
    )*};
}

becomes_default! { bool char f32 f64 i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

/// Becomes zero.
impl Reset for Duration {
    fn reset(&mut self) -> Verdict {
        *self = Self::ZERO;
        Verdict::Keep
    }
    fn is_clean(&self) -> bool {
        self.is_zero()
    }
}

impl<T: ?Sized> Reset for PhantomData<T> {
    fn reset(&mut self) -> Verdict {
        Verdict::Keep
    }
}

/// Resets what is in the box; the box stays. Its bytes are always in use.
impl<T: Reset + ?Sized> Reset for Box<T> {
    fn reset(&mut self) -> Verdict {
        (**self).reset()
    }
    fn retained_bytes(&self) -> usize {
        sum([size_of_val::<T>(self), (**self).retained_bytes()])
    }
    fn used_bytes(&self) -> usize {
        sum([size_of_val::<T>(self), (**self).used_bytes()])
    }
    fn poison(&mut self) {
        (**self).poison();
    }
    fn is_clean(&self) -> bool {
        (**self).is_clean()
    }
}

/// Resets each element. A long array of plain values is written as a whole.
impl<T: Reset, const N: usize> Reset for [T; N] {
    fn reset(&mut self) -> Verdict {
        self.iter_mut().fold(Verdict::Keep, |verdict, element| both(verdict, element.reset()))
    }
    fn retained_bytes(&self) -> usize {
        sum(self.iter().map(T::retained_bytes))
    }
    fn used_bytes(&self) -> usize {
        sum(self.iter().map(T::used_bytes))
    }
    fn poison(&mut self) {
        self.iter_mut().for_each(T::poison);
    }
    fn is_clean(&self) -> bool {
        self.iter().all(T::is_clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_become_their_default() {
        let mut value = ((7_u8, -7_i128, 'x'), (true, 1.5_f32, -0.0_f64), Duration::MAX, [1_usize, 2]);
        assert_eq!(value.reset(), Verdict::Keep);
        assert_eq!(value, ((0, 0, '\0'), (false, 0.0, 0.0), Duration::ZERO, [0, 0]));
        assert!(value.1.2.is_sign_positive());
        assert_eq!((value.retained_bytes(), value.used_bytes()), (0, 0));
    }

    #[test]
    fn a_box_stays_and_counts_its_own_bytes() {
        let mut value: Box<dyn Reset> = Box::new([String::from("four"), String::new()]);
        assert_eq!(value.retained_bytes(), 2 * size_of::<String>() + 4);
        assert_eq!(value.reset(), Verdict::Keep);
        assert_eq!((value.retained_bytes() - value.used_bytes(), value.used_bytes()), (4, 2 * size_of::<String>()));
    }

    /// Wants to go, unless it was reset before.
    struct Once(bool);

    impl Reset for Once {
        fn reset(&mut self) -> Verdict {
            if core::mem::replace(&mut self.0, true) { Verdict::Keep } else { Verdict::Discard }
        }
    }

    #[test]
    fn all_elements_are_reset_whatever_one_says() {
        let mut array = [Once(true), Once(false), Once(false)];
        assert_eq!(array.reset(), Verdict::Discard);
        assert!(array.iter().all(|element| element.0));
        let mut tuple = (Once(false), Once(true), Once(false), Once(false));
        assert_eq!(tuple.reset(), Verdict::Discard);
        assert!(tuple.0.0 && tuple.2.0 && tuple.3.0);
        assert_eq!((array.reset(), tuple.reset()), (Verdict::Keep, Verdict::Keep));
    }
}

//! Shells: nodes whose value was taken out, to be filled with another one. What makes them is a type: the payload of a shell
//! is that of its node with room instead of the value, so nobody reads a value that is not there, or drops it.

use super::chain::Node;
use core::mem::MaybeUninit;

/// A payload with a value that can be taken out of it.
///
/// # Safety
///
/// - `Self` and `Shell` are one `repr(C)` type, with a `Value` in the one where the other has a `MaybeUninit<Value>`;
/// - `room` lends that field, and does nothing else.
pub unsafe trait Hollow: Sized {
    type Value;
    type Shell;

    fn room(shell: &mut Self::Shell) -> &mut MaybeUninit<Self::Value>;
}

/// Takes the value out of a node.
#[inline]
pub fn emptied<P: Hollow>(node: Box<Node<P>>) -> (P::Value, Box<Node<P::Shell>>) {
    // A magazine of nodes is none of shells.
    node.came_from(None);
    let shell = Box::into_raw(node).cast::<Node<P::Shell>>();
    // SAFETY: by `Hollow` the layouts are the same, so that the allocation is a box of either, and what is valid for
    // the node is valid for the shell: links that nobody follows, and room that holds anything.
    let mut shell = unsafe { Box::from_raw(shell) };
    // SAFETY: by `Hollow` it is the node's value, read once: from here on it counts as room.
    let value = unsafe { P::room(&mut shell.payload).assume_init_read() };
    (value, shell)
}

/// Puts a value into a shell.
#[inline]
pub fn filled<P: Hollow>(mut shell: Box<Node<P::Shell>>, value: P::Value) -> Box<Node<P>> {
    shell.came_from(None);
    P::room(&mut shell.payload).write(value);
    let node = Box::into_raw(shell).cast::<Node<P>>();
    // SAFETY: as in `emptied`, and the value is there.
    unsafe { Box::from_raw(node) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[repr(C)]
    struct Pair<V> {
        kept: Rc<()>,
        value: V,
    }

    // SAFETY: one type, and the field of its parameter.
    unsafe impl Hollow for Pair<Rc<()>> {
        type Value = Rc<()>;
        type Shell = Pair<MaybeUninit<Rc<()>>>;

        fn room(shell: &mut Self::Shell) -> &mut MaybeUninit<Rc<()>> {
            &mut shell.value
        }
    }

    #[test]
    fn a_shell_keeps_the_box_and_all_but_the_value() {
        let (kept, value) = (Rc::new(()), Rc::new(()));
        let node = Node::new(Pair { kept: Rc::clone(&kept), value: Rc::clone(&value) });
        let address = &raw const *node;
        let (taken, shell) = emptied(node);
        assert_eq!((Rc::strong_count(&kept), Rc::strong_count(&value)), (2, 2));
        let node: Box<Node<Pair<_>>> = filled(shell, taken);
        assert!(&raw const *node == address && Rc::ptr_eq(&node.payload.value, &value));
        assert!(Rc::ptr_eq(&node.payload.kept, &kept));
        let (taken, shell) = emptied(node);
        drop(shell);
        assert_eq!((Rc::strong_count(&kept), Rc::strong_count(&value)), (1, 2));
        drop(taken);
        assert_eq!(Rc::strong_count(&value), 1);
    }
}

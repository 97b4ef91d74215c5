//! A few at once, and the others in the order in which they came.

use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Who is at it, and who waits.
#[derive(Debug)]
pub struct Turns {
    free: Cell<usize>,
    most_waiting: usize,
    waiting: RefCell<VecDeque<oneshot::Sender<Turn>>>,
}

/// One that is at it; the next one's turn comes when it is dropped.
#[derive(Debug)]
pub struct Turn(Rc<Turns>);

impl Turns {
    /// So many at once, and so many who wait.
    pub fn new(at_once: usize, most_waiting: usize) -> Rc<Self> {
        Rc::new(Self { free: Cell::new(at_once), most_waiting, waiting: RefCell::default() })
    }

    /// The caller's turn, once it comes; none where too many wait. To wait no longer, drop it.
    pub async fn take(self: &Rc<Self>) -> Option<Turn> {
        if let Some(left) = self.free.get().checked_sub(1) {
            self.free.set(left);
            return Some(Turn(self.clone()));
        }
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting.borrow_mut();
            waiting.retain(|sender| !sender.is_canceled());
            if waiting.len() >= self.most_waiting {
                return None;
            }
            waiting.push_back(sender);
        }
        receiver.await.ok()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Self(turns) = self;
        let next = turns.waiting.borrow_mut().pop_front();
        match next {
            // Who has gone meanwhile gives it back, and it is passed on.
            Some(next) => drop(next.send(Self(turns.clone()))),
            None => turns.free.set(turns.free.get() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::task::{Context, Poll, noop_waker_ref};
    use std::pin::Pin;

    type Taking<'a> = Pin<Box<dyn Future<Output = Option<Turn>> + 'a>>;

    fn comes(taking: &mut Taking<'_>) -> Option<Turn> {
        match taking.poll_unpin(&mut Context::from_waker(noop_waker_ref())) {
            Poll::Ready(turn) => turn,
            Poll::Pending => None,
        }
    }

    #[test]
    fn so_many_at_once_the_others_in_order_and_nobody_who_has_gone() {
        let turns = Turns::new(2, 3);
        let [one, two] =
            [turns.take().now_or_never().flatten().unwrap(), turns.take().now_or_never().flatten().unwrap()];
        let [mut third, mut gone, mut fourth]: [Taking<'_>; 3] = std::array::from_fn(|_| turns.take().boxed_local());
        for taking in [&mut third, &mut gone, &mut fourth] {
            assert!(comes(taking).is_none());
        }
        assert!(matches!(turns.take().now_or_never(), Some(None)), "too many wait");
        drop(gone);
        let mut fifth = turns.take().boxed_local();
        assert!(comes(&mut fifth).is_none(), "who has gone does not count");
        drop(one);
        assert!(comes(&mut fourth).is_none() && comes(&mut fifth).is_none());
        drop(comes(&mut third).unwrap());
        let fourth = comes(&mut fourth).unwrap();
        assert!(comes(&mut fifth).is_none());
        // Its turn had come when it went.
        drop(two);
        drop(fifth);
        drop(fourth);
        assert_eq!((turns.free.get(), turns.waiting.borrow().len()), (2, 0));
    }
}

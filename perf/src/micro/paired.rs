//! Two figures from one measurement, for two probes of the same rounds.

use std::cell::RefCell;
use std::rc::Rc;

/// Returns one figure of a pair.
pub type Half<'a> = Box<dyn FnMut() -> Result<f64, String> + 'a>;

/// A measurement that gives a pair of figures. Whichever half is asked for first in a round takes the measurement;
/// the other half then gets the figure of that same measurement.
pub struct Paired<'a> {
    measure: Box<dyn FnMut() -> Result<[f64; 2], String> + 'a>,
    waiting: [Option<f64>; 2],
}

impl<'a> Paired<'a> {
    /// Creates the two halves: each returns its figure of the pair.
    pub fn halves(measure: impl FnMut() -> Result<[f64; 2], String> + 'a) -> [Half<'a>; 2] {
        let paired = Rc::new(RefCell::new(Paired { measure: Box::new(measure), waiting: [None; 2] }));
        [0, 1].map(|half| {
            let paired = Rc::clone(&paired);
            Box::new(move || paired.borrow_mut().take(half)) as Half<'a>
        })
    }

    fn take(&mut self, half: usize) -> Result<f64, String> {
        if let Some(figure) = self.waiting[half].take() {
            return Ok(figure);
        }
        let pair = (self.measure)()?;
        self.waiting = pair.map(Some);
        self.waiting[half] = None;
        Ok(pair[half])
    }
}

#[cfg(test)]
mod tests {
    use super::Paired;

    #[test]
    fn both_halves_share_one_measurement_in_either_order() {
        let mut taken = 0.0;
        let [mut first, mut second] = Paired::halves(move || {
            taken += 1.0;
            Ok([taken, -taken])
        });
        assert_eq!((first(), second()), (Ok(1.0), Ok(-1.0)));
        assert_eq!((second(), first()), (Ok(-2.0), Ok(2.0)));
    }

    #[test]
    fn a_half_that_is_asked_alone_measures_each_time() {
        let mut taken = 0.0;
        let [mut first, _] = Paired::halves(move || {
            taken += 1.0;
            Ok([taken, 0.0])
        });
        assert_eq!((first(), first(), first()), (Ok(1.0), Ok(2.0), Ok(3.0)));
    }

    #[test]
    fn an_error_reaches_the_half_that_asked() {
        let [mut first, _] = Paired::halves(|| Err("no memory".to_owned()));
        assert_eq!(first(), Err("no memory".to_owned()));
    }
}

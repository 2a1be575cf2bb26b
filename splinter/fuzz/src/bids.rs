//! The bids of one store beside a list that does the same.

use crate::case::{BidStep, terms};
use splinter::{BidError, Intent, Store};

const ENTRIES: usize = 32;

#[derive(Clone, Copy)]
struct Bid {
    id: u32,
    intent: Intent,
    priority: u8,
    /// The time of the claim, as the step gives it. A renewed bid gets a later one than all others.
    claimed_at: u64,
    expired: bool,
}

/// The bids that one store made.
#[derive(Default)]
pub(crate) struct Bids(Vec<Bid>);

#[derive(Debug, PartialEq)]
enum Refusal {
    Zero,
    Full,
    Taken,
    Unknown,
}

fn refusal(answer: Result<(), BidError>) -> Result<(), Refusal> {
    answer.map_err(|error| match error {
        BidError::ZeroId => Refusal::Zero,
        BidError::TableFull => Refusal::Full,
        BidError::Taken { .. } => Refusal::Taken,
        BidError::Unknown { .. } => Refusal::Unknown,
        error => panic!("one process alone got the error: {error}"),
    })
}

impl Bids {
    fn claim(&mut self, bid: Bid) -> Result<(), Refusal> {
        if bid.id == 0 {
            return Err(Refusal::Zero);
        }
        if self.0.iter().any(|one| one.id == bid.id && !one.expired) {
            return Err(Refusal::Taken);
        }
        self.0.retain(|one| one.id != bid.id);
        if self.0.len() == ENTRIES {
            self.0.retain(|one| !one.expired);
        }
        if self.0.len() == ENTRIES {
            return Err(Refusal::Full);
        }
        self.0.push(bid);
        Ok(())
    }

    fn remove(&mut self, id: u32) -> Result<(), Refusal> {
        let before = self.0.len();
        self.0.retain(|bid| bid.id != id);
        match id {
            0 => Err(Refusal::Zero),
            _ if self.0.len() == before => Err(Refusal::Unknown),
            _ => Ok(()),
        }
    }

    fn elected(&self) -> Option<u32> {
        let valid: Vec<_> = self.0.iter().filter(|bid| !bid.expired).collect();
        let is_needed = valid.iter().any(|bid| matches!(bid.intent, Intent::WillNeed | Intent::Sequential));
        let eligible = valid.iter().filter(|bid| !(is_needed && bid.intent == Intent::DontNeed));
        eligible.min_by_key(|bid| (u8::MAX - bid.priority, bid.claimed_at, bid.id)).map(|bid| bid.id)
    }

    /// Does one thing to the store's bids and to the list.
    pub(crate) fn step(&mut self, store: &Store, step: BidStep) {
        match step {
            BidStep::Claim { id, intent, priority, claimed_at, expired } => {
                let (id, terms) = (u32::from(id), terms(intent, priority, expired));
                let theirs = store.bids().claim_as(id, terms, 7, claimed_at.into());
                let (intent, claimed_at) = (terms.intent, claimed_at.into());
                let ours = self.claim(Bid { id, intent, priority, claimed_at, expired });
                assert_eq!(refusal(theirs), ours);
            }
            BidStep::ClaimMany(first) => {
                for id in u32::from(first)..u32::from(first) + 9 {
                    let theirs = store.bids().claim_as(id, terms(0, 1, false), 7, 5);
                    let (intent, priority, claimed_at) = (Intent::None, 1, 5);
                    let ours = self.claim(Bid { id, intent, priority, claimed_at, expired: false });
                    assert_eq!(refusal(theirs), ours);
                }
            }
            BidStep::Rebid { id, intent, priority, expired } => {
                let (id, terms) = (u32::from(id), terms(intent, priority, expired));
                let theirs = refusal(store.bids().renew(id, terms));
                let youngest = self.0.iter().map(|bid| bid.claimed_at).max().unwrap_or(0);
                let ours = match self.0.iter_mut().find(|bid| bid.id == id) {
                    _ if id == 0 => Err(Refusal::Zero),
                    None => Err(Refusal::Unknown),
                    Some(bid) => {
                        let claimed_at = youngest.max(256) + 1;
                        *bid = Bid { id, intent: terms.intent, priority, claimed_at, expired };
                        Ok(())
                    }
                };
                assert_eq!(theirs, ours);
            }
            BidStep::Release(id) => {
                let id = u32::from(id);
                assert_eq!(refusal(store.bids().release(id)), self.remove(id));
            }
            BidStep::Revoke(id) => {
                let id = u32::from(id);
                assert_eq!(refusal(store.bids().release_as_supervisor(id)), self.remove(id));
            }
            BidStep::Elect => {}
        }
        let elected = store.bids().election().expect("an election").map(|bid| bid.id);
        assert_eq!(elected, self.elected());
        let list = |mut bids: Vec<(u32, Intent, u8, bool)>| {
            bids.sort_unstable_by_key(|bid| bid.0);
            bids
        };
        let theirs = store.bids().list().expect("the bids").into_iter();
        let theirs = theirs.map(|bid| (bid.id, bid.intent, bid.priority, bid.expired)).collect();
        let ours = self.0.iter().map(|bid| (bid.id, bid.intent, bid.priority, bid.expired));
        assert_eq!(list(theirs), list(ours.collect()));
    }
}

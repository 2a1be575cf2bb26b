//! Every operation of the public API, as a worker calls it on a store under attack. Any answer within its bounds is right.
//! The calls count answers out of bounds; the parent sees a panic, a fault or a call that does not return.

use super::client::{Answered, Client, MARGIN, MARK, ORDERS};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use splinter::{
    Advice, Candidate, Error, Eviction, Expect, IntegerOp, Lifetime, Location, Metric, Notifier, Page,
    Patience, Scrub, Search, Store, Transaction, Type, View,
};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// A call, by its name.
type Call = (&'static str, fn(&mut Client<'_>) -> Answered);

/// The calls. Rare and slow ones stand at the end.
pub(super) const CALLS: [Call; 90] = [
    ("get", |c| {
        let (store, key) = (c.store, c.key());
        c.read(|buf| store.get(&key, buf))
    }),
    ("get_short", |c| {
        let (store, key) = (c.store, c.key());
        let short = c.rng.below(16) as usize;
        let answer = c.read_into(short, |buf| store.get(&key, buf));
        if let Err(Error::BufferTooSmall { needed }) = answer {
            c.bound(needed);
        }
        Some(answer.is_ok())
    }),
    ("get_vec", |c| {
        let value = c.store.get_vec(c.key());
        Some(value.is_ok_and(|value| c.bound(value.len())))
    }),
    ("get_u64", |c| Some(c.store.get_u64(c.key()).is_ok())),
    ("get_with", |c| {
        let look = |value: &View<'_>| (value.len(), value.epoch());
        let found = c.store.get_with(c.key(), look);
        Some(found.is_ok_and(|(len, _)| c.bound(len)))
    }),
    ("view", |c| {
        let (store, key) = (c.store, c.key());
        let Ok(view) = store.view(&key) else {
            return Some(false);
        };
        let (len, index) = (view.len(), c.rng.below(1 << 20) as usize);
        let bytes = view.bytes().count();
        let _ = (view.validate(), view.epoch(), view.word(index), view.word(0));
        let copied = c.read(|buf| Ok(view.copy_to(buf)))?;
        Some(c.bound(len) && c.bound(bytes) && copied)
    }),
    ("value_len", |c| {
        let len = c.store.value_len(c.key());
        Some(len.is_ok_and(|len| c.bound(len)))
    }),
    ("contains", |c| Some(c.store.contains(c.key()).is_ok())),
    ("epoch", |c| Some(c.store.epoch(c.key()).is_ok())),
    ("vector", |c| {
        let (store, key) = (c.store, c.key());
        Some(store.vector(&key, &mut c.vector).is_ok())
    }),
    ("get_entry", |c| {
        let (store, key) = (c.store, c.key());
        c.read(|buf| store.get_entry(&key, buf).map(|entry| entry.len))
    }),
    ("ttl", |c| Some(c.store.ttl(c.key()).is_ok())),
    ("read_consistent", |c| {
        let keys: Vec<String> = (0..1 + c.rng.below(5)).map(|_| c.key()).collect();
        let mut longest = 0;
        let look = |_, view: Option<&View<'_>>| longest = longest.max(view.map_or(0, View::len));
        let answer = c.store.read_consistent_with(&keys, look);
        Some(answer.is_ok() && c.bound(longest))
    }),
    ("scan", |c| {
        let (cursor, prefix) = (c.rng.next_u64() as u32, ["", "key", "key1"][c.rng.index(3)]);
        let page = c.store.scan(cursor % 64, prefix, 8);
        let bounded = |page: Page| page.found.iter().all(|found| c.bound(found.value.len()));
        Some(page.is_ok_and(bounded))
    }),
    ("vectors", |c| {
        let (store, mut count) = (c.store, 0);
        for view in store.vectors() {
            let copied = view.copy_to(&mut c.vector);
            let _ = (copied, view.validate());
            count += 1;
        }
        Some(c.at_most_slots(count))
    }),
    ("search", |c| {
        let (draw, query) = (c.rng.next_u64(), vec![1.0; c.vector.len()]);
        let Ok(search) = c.store.search(&query) else { return Some(false) };
        let k = draw as usize % 40;
        let search = search.k(k).exact(draw & 64 != 0).threads((draw >> 7 & 3) as usize);
        let search = search.group_orders(draw & 512 != 0).labels_none(draw >> 10 & draw >> 20);
        let search = if draw & 1024 == 0 { search } else { search.depth(1).prefix("key").min_score(-1.0) };
        let mut longest = 0;
        let rescored = |found: &Candidate<'_>| {
            longest = longest.max(found.value.len());
            found.score
        };
        let found = if draw & 2048 == 0 { search.run() } else { search.rescore(rescored).run() };
        let whole = found.as_ref().is_ok_and(|hits| hits.len() <= k);
        Some(found.is_ok() && c.check(whole) && c.bound(longest))
    }),
    ("nearest_to", |c| {
        let hits = c.store.nearest_to(c.key()).and_then(Search::run);
        Some(hits.is_ok_and(|hits| c.check(hits.len() <= 10)))
    }),
    ("similarity", |c| {
        let (a, b) = (c.key(), c.key());
        let score = c.store.similarity(&a, &b, Metric::Cosine);
        Some(score.is_ok_and(|score| c.check((-1.0..=1.0).contains(&score))))
    }),
    ("prefetch", |c| {
        c.store.prefetch_records(&c.handles);
        c.store.prefetch_values(&c.handles);
        let (handles, len) = (c.handles.clone(), c.rng.next_u64() as usize);
        c.write(|writer, _, _, _| {
            writer.prefetch_for_sets(&handles, len);
            true
        })
    }),
    ("wait_for", |c| {
        let (key, deadline) = (c.key(), c.deadline());
        Some(c.store.wait_for(&key, deadline).is_ok())
    }),
    ("get_many", |c| {
        let (store, max) = (c.store, c.max);
        let keys: Vec<String> = (0..c.rng.below(20)).map(|_| c.key()).collect();
        let mut bytes = vec![MARK; keys.len() * max + MARGIN];
        let mut answers = vec![Ok(0); keys.len()];
        let room = keys.len() * max;
        store.get_many(&keys, &mut bytes[..room], max, &mut answers);
        let whole = bytes[room..].iter().all(|byte| *byte == MARK);
        let longest = answers.iter().flatten().max().copied().unwrap_or(0);
        Some(c.check(whole) && c.bound(longest))
    }),
    ("resolve", |c| {
        let handle = c.store.resolve(c.key());
        c.handles.extend(handle);
        let excess = c.handles.len().saturating_sub(8);
        c.handles.drain(..excess);
        Some(handle.is_ok())
    }),
    ("get_at", |c| {
        let (store, handle) = (c.store, c.handle()?);
        c.read(|buf| store.get(handle, buf))
    }),
    ("snapshot", |c| {
        let (slot, arena_len) = (c.store.snapshot(c.key()), c.store.arena_len());
        let within =
            |slot: splinter::SlotSnapshot| c.check(slot.value_offset < arena_len) && c.bound(slot.value_len);
        Some(slot.is_ok_and(within))
    }),
    ("tandem", |c| {
        let (store, key) = (c.store, c.key());
        let mut values = vec![Vec::new(); 1 + c.rng.below(5) as usize];
        let answer = store.tandem(&key, &mut values);
        Some(answer.is_ok() && values.iter().all(|value| c.bound(value.len())))
    }),
    ("for_each_label", |c| {
        let (mask, mut met) = (c.rng.next_u64() & c.rng.next_u64(), 0);
        c.store.for_each_label(mask, |_, _| met += 1);
        Some(c.at_most_slots(met))
    }),
    ("keys", |c| {
        let count = c.store.keys().count() as u64;
        Some(c.at_most_slots(count))
    }),
    ("len", |c| {
        let count = c.store.len();
        let _ = c.store.is_empty();
        Some(c.at_most_slots(count))
    }),
    ("header", |c| {
        let header = c.store.header();
        let _ = (c.store.scrub(), c.store.flags().user());
        let geometry = c.store.geometry();
        Some(c.check(header.geometry == geometry))
    }),
    ("poll", |c| {
        let (key, deadline) = (c.key(), c.deadline());
        Some(c.store.poll(key, deadline).is_ok())
    }),
    ("poll_after", |c| {
        let (key, deadline, epoch) = (c.key(), c.deadline(), c.rng.next_u64());
        Some(c.store.poll_after(key, epoch, deadline).is_ok())
    }),
    ("try_next", |c| c.each_watcher(|watcher, _| watcher.try_next().is_ok())),
    ("wait", |c| c.each_watcher(|watcher, deadline| watcher.wait(deadline).is_ok())),
    ("resync", |c| {
        let mut most = 0;
        let good = c.each_watcher(|watcher, _| {
            let mut met = 0;
            watcher.resync(|_| met += 1);
            most = met.max(most);
            true
        });
        Some(c.at_most_slots(most) & good?)
    }),
    ("signal_count", |c| {
        let group = c.group();
        Some(c.store.signal_count(group).is_some())
    }),
    ("pollable_next", |c| {
        let pollable = c.pollable.as_mut()?;
        let heard = (0..70).take_while(|_| matches!(pollable.try_next(), Ok(Some(_))));
        Some(heard.count() > 0)
    }),
    ("pollable_wait", |c| {
        let pollable = c.pollable.as_ref()?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, 0);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok()?;
        let timeout = EpollTimeout::from(c.rng.below(2) as u8);
        let added = epoll.add(pollable, event).is_ok();
        Some(added && epoll.wait(&mut [EpollEvent::empty()], timeout) == Ok(1))
    }),
    ("pollable_resync", |c| {
        c.pollable.as_mut()?.resync(|_| ());
        Some(true)
    }),
    ("set", |c| c.write(|writer, key, body, _| writer.set(key, body).is_ok())),
    ("insert", |c| {
        let key = format!("new{}", c.rng.below(2 * c.raw.slots() as u64));
        let evicts = c.store.eviction() != Eviction::Expired;
        c.write(|writer, _, body, _| {
            let answer = writer.set(&key, body);
            // Elsewhere it would fill the store.
            let _ = evicts || writer.unset(&key).is_ok();
            answer.is_ok()
        })
    }),
    ("pin", |c| c.write(|writer, key, _, _| writer.pin(key).is_ok())),
    ("unpin", |c| c.write(|writer, key, _, _| writer.unpin(key).is_ok())),
    ("set_if", |c| c.change(|writer, key, body| writer.set_if(key, body, Expect::Any))),
    ("set_at", |c| {
        let handle = c.handle()?;
        c.write(|writer, _, body, _| writer.set(handle, body).is_ok())
    }),
    ("set_many", |c| {
        c.write(|writer, key, body, word| {
            let other = format!("key{}", word % 40);
            let pairs = [(key, body), (&other, &body[..body.len() / 2])];
            let mut answers = [Ok(()), Ok(())];
            writer.set_many(&pairs, &mut answers);
            answers.iter().all(Result::is_ok)
        })
    }),
    ("append", |c| c.write(|writer, key, body, _| writer.append(key, body).is_ok())),
    ("append_if", |c| c.change(|writer, key, tail| Ok(writer.append_if(key, tail, Expect::Present)?.1))),
    ("set_with", |c| {
        let ends = Lifetime::For(Duration::from_micros(c.rng.below(2_000)));
        c.change(|writer, key, body| writer.set_with(key, body, Expect::Any, ends))
    }),
    ("expire", |c| {
        c.write(|writer, key, _, word| {
            let span = Duration::from_nanos(word % 1_000_000);
            if word & 1 == 0 { writer.expire(key, span).is_ok() } else { writer.persist(key).is_ok() }
        })
    }),
    ("sweep_expired", |c| {
        let slots = c.store.geometry().slots;
        c.write(|writer, _, _, _| writer.sweep_expired(16).is_ok_and(|swept| u64::from(swept) <= slots))
    }),
    ("update", |c| {
        let max = c.max;
        let mut longest = 0;
        let good = c.write(|writer, key, body, _| {
            let change = |old: Option<&[u8]>, new: &mut Vec<u8>| {
                longest = old.map_or(0, <[u8]>::len);
                new.extend_from_slice(&body[..body.len().min(max)]);
                Ok::<(), Error>(())
            };
            writer.update(key, change).is_ok()
        });
        c.bound(longest);
        good
    }),
    ("swap", |c| {
        let mut longest = 0;
        let good = c.write(|writer, key, body, _| {
            let old = writer.swap(key, body);
            longest = old.as_ref().ok().and_then(Option::as_ref).map_or(0, Vec::len);
            old.is_ok()
        });
        c.bound(longest);
        good
    }),
    ("commit", |c| {
        let vector = vec![2.5; c.vector.len()];
        let (others, slots) = ([c.key(), c.key()], c.raw.slots());
        let mut within = true;
        let good = c.write(|writer, key, body, word| {
            let mut transaction = Transaction::new();
            transaction.key(key).set(body);
            let other = transaction.key(&others[0]);
            match word & 7 {
                0 => other.unset(),
                1 => other.set_vector(&vector),
                2 => other.label(word),
                3 => other.set_u64(word),
                4 => other.integer(operation(word)),
                5 => other.lifetime(Lifetime::Endless),
                _ => other.expect(Expect::Present),
            };
            transaction.key(&others[1]).expect(Expect::Any);
            let outcomes = writer.commit(&transaction);
            let versions = outcomes.iter().flatten().filter_map(|outcome| outcome.version);
            within = versions.into_iter().all(|version| (version.slot as usize) < slots);
            outcomes.is_ok()
        });
        c.check(within);
        good
    }),
    ("register_lasting", |c| {
        c.write(|writer, key, _, word| {
            let group = word as u8 & 63;
            match word & 256 {
                0 => writer.register_lasting(key, group).is_ok(),
                _ => writer.unregister_lasting(key, group).is_ok(),
            }
        })
    }),
    ("unset", |c| c.write(|writer, key, _, _| writer.unset(key).is_ok())),
    ("unset_if", |c| c.change(|writer, key, _| Ok(writer.unset_if(key, Expect::Present)?.1))),
    ("bump", |c| c.write(|writer, key, _, _| writer.bump(key).is_ok())),
    ("integer", |c| c.write(|writer, key, _, word| writer.integer(key, operation(word)).is_ok())),
    ("integer_at", |c| {
        let handle = c.handle()?;
        c.write(|writer, _, _, word| writer.integer(handle, operation(word)).is_ok())
    }),
    ("set_u64", |c| c.write(|writer, key, _, word| writer.set_u64(key, word).is_ok())),
    ("set_type", |c| {
        c.write(|writer, key, _, word| {
            writer.set_type(key, Type::ALL[word as usize % Type::ALL.len()]).is_ok()
        })
    }),
    ("label", |c| c.write(|writer, key, _, word| writer.label(key, word).is_ok())),
    ("unlabel", |c| c.write(|writer, key, _, word| writer.unlabel(key, word).is_ok())),
    ("register", |c| c.write(|writer, key, _, word| writer.register(key, word as u8 & 63).is_ok())),
    ("unregister", |c| c.write(|writer, key, _, word| writer.unregister(key, word as u8 & 63).is_ok())),
    ("pulse", |c| c.write(|writer, key, _, _| writer.pulse(key).is_ok())),
    ("slot_flags", |c| {
        c.write(|writer, key, _, word| {
            writer.set_slot_flags(key, word as u16).is_ok()
                & writer.clear_slot_flags(key, (word >> 16) as u16).is_ok()
        })
    }),
    ("times", |c| {
        c.write(|writer, key, _, word| {
            writer.set_ctime(key, word, 1).is_ok() & writer.set_atime(key, !word, 1).is_ok()
        })
    }),
    ("set_vector", |c| {
        let vector = vec![1.5; c.store.geometry().vector_dim as usize];
        c.write(|writer, key, _, _| writer.set_vector(key, &vector).is_ok())
    }),
    ("clear_vector", |c| c.write(|writer, key, _, _| writer.clear_vector(key).is_ok())),
    ("set_tandem", |c| c.write(|writer, key, body, _| writer.set_tandem(key, &[body; ORDERS]).is_ok())),
    ("unset_tandem", |c| {
        c.write(|writer, key, _, word| writer.unset_tandem(key, 1 + word as usize % 4).is_ok())
    }),
    ("purge", |c| {
        let slots = c.store.geometry().slots;
        c.write(|writer, _, _, _| writer.purge().is_ok_and(|wiped| wiped <= slots))
    }),
    ("writer", |c| {
        c.writer = None;
        c.writer = c.store.writer().ok();
        Some(c.writer.is_some())
    }),
    ("watch", |c| {
        let groups: Vec<u8> = (0..=c.rng.below(4)).map(|_| c.group()).collect();
        let watcher = match c.rng.below(4) {
            0 => c.store.watch_all(),
            1 => c.store.watch_prefix(["", "key", "key1"][c.rng.index(3)]),
            2 => c.store.watch_key(c.key()),
            _ => c.store.watch(&groups),
        };
        let good = watcher.is_ok();
        c.watchers.extend(watcher);
        let excess = c.watchers.len().saturating_sub(3);
        c.watchers.drain(..excess);
        Some(good)
    }),
    ("pollable", |c| {
        c.pollable = None;
        let notifier = [Notifier::IoUring, Notifier::HelperThread][c.rng.below(2) as usize];
        let group = c.group();
        let watcher = c.store.watch(&[group]).ok()?;
        c.pollable = watcher.pollable_by(notifier).ok();
        Some(c.pollable.is_some())
    }),
    ("route_labels", |c| {
        let (mask, group) = (c.rng.next_u64(), c.group());
        let added = c.store.register_labels(mask, group);
        let removed = c.store.unregister_labels(mask >> 1, group);
        Some(added.is_ok() && removed.is_ok())
    }),
    ("flags", |c| {
        let (mask, level) = (c.rng.next_u64() as u16, c.rng.below(3) as usize);
        let good = c.store.flags().set_user(mask).is_ok()
            & c.store.flags().clear_user(!mask).is_ok()
            & c.store.set_scrub(Scrub::ALL[level]).is_ok()
            & c.store.report_parse_failure().is_ok();
        Some(good)
    }),
    ("claim_bid", |c| {
        let (id, terms) = (c.bid_id(), c.terms());
        Some(c.store.bids().claim(id, terms).is_ok())
    }),
    ("rebid", |c| {
        let (id, terms) = (c.bid_id(), c.terms());
        Some(c.store.bids().renew(id, terms).is_ok())
    }),
    ("release_bid", |c| {
        let id = c.bid_id();
        let answer = match c.rng.below(2) {
            0 => c.store.bids().release(id),
            _ => c.store.bids().release_as_supervisor(id),
        };
        Some(answer.is_ok())
    }),
    ("bids", |c| {
        let id = c.bid_id();
        let bids = c.store.bids().list().map_or(0, |bids| bids.len());
        let _ = (c.store.bids().election(), c.store.bids().is_sovereign(id));
        Some(c.check(bids <= 32))
    }),
    ("advise", |c| {
        let (id, len) = (c.bid_id(), c.store.arena_len());
        let patience = match c.deadline() {
            Some(deadline) if c.rng.below(2) == 0 => Patience::Until(deadline),
            _ => Patience::Defer,
        };
        let range = c.rng.below(len)..len;
        Some(c.store.bids().advise(id, range, Advice::Random, patience).is_ok())
    }),
    ("inspect", |c| {
        let found = c.store.inspect();
        Some(found.is_ok_and(|found| c.at_most_slots(found.keys)))
    }),
    ("content", |c| {
        let content = c.store.content(c.key());
        Some(content.is_ok_and(|content| c.bound(content.value.len())))
    }),
    ("repair", |c| {
        let repair = c.store.repair();
        Some(repair.is_ok_and(|repair| c.at_most_slots(repair.after.keys)))
    }),
    ("residency", |c| Some(c.store.residency().is_ok() & c.store.flush().is_ok())),
    ("open_fd", |c| {
        let fd = c.store.fd().try_clone_to_owned().ok()?;
        Some(c.use_opened(Store::from_fd(fd).ok()))
    }),
    ("open_read_only", |c| {
        let path = format!("/proc/self/fd/{}", c.store.fd().as_raw_fd());
        let file = File::open(path).ok()?;
        Some(c.use_opened(Store::from_fd(OwnedFd::from(file)).ok()))
    }),
    ("open_file", |c| {
        let bytes = c.forge_file();
        std::fs::write(c.scratch, bytes).ok()?;
        Some(c.use_opened(Store::open(&Location::file(c.scratch)).ok()))
    }),
];

/// Calls that take long, since they walk through the whole store, and of how many draws of one only one is made.
const SLOW: [&str; 9] =
    ["purge", "inspect", "repair", "residency", "open_fd", "open_read_only", "open_file", "pollable", "keys"];
const PASS_OVER: u64 = 15;

/// Makes calls in random order until the run is stopped.
pub(super) fn call_all(client: &mut Client<'_>) {
    while !client.state.0.is_stopped() {
        let call = client.rng.index(CALLS.len());
        if SLOW.contains(&CALLS[call].0) && client.rng.below(PASS_OVER) > 0 {
            continue;
        }
        make(client, call);
    }
}

/// Makes one call, by its number, and counts it.
fn make(client: &mut Client<'_>, call: usize) {
    client.call = call;
    client.state.begin(client.number, call);
    // A call that could not be made is no attempt: a call that is never made must show.
    if let Some(good) = CALLS[call].1(client) {
        client.state.end(client.number, call, good);
    }
}

fn operation(word: u64) -> IntegerOp {
    match word % 6 {
        0 => IntegerOp::And(word),
        1 => IntegerOp::Or(word),
        2 => IntegerOp::Xor(word),
        3 => IntegerOp::Not,
        4 => IntegerOp::Inc(word),
        _ => IntegerOp::Dec(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::shared_state::HostileState;
    use crate::hostile::{geometry, store};
    use crate::raw::Raw;
    use splinter::Writer;
    use splinter_harness::rng::Rng;
    use std::path::Path;

    /// Calls that need a writer, a handle, a watcher or a file, which may be missing.
    const NEEDY: [&str; 11] = [
        "get_at",
        "set_at",
        "integer_at",
        "try_next",
        "wait",
        "resync",
        "pollable_next",
        "pollable_wait",
        "pollable_resync",
        "set",
        "open_file",
    ];

    #[test]
    fn a_call_for_which_something_is_missing_is_not_counted() {
        let store = store(geometry(4, 64, 0, 1));
        let raw = Raw::new(&store).unwrap();
        let state = HostileState::new(1, CALLS.len()).unwrap();
        // It takes the only writer id, so that the client gets no writer.
        let _taken: Writer = store.writer().unwrap();
        let rng = Rng::new(1, 1);
        let mut client = Client::new(&store, &raw, &state, 0, Path::new("/nowhere/at/all"), rng);
        for (call, (name, _)) in CALLS.iter().enumerate() {
            if NEEDY.contains(name) {
                make(&mut client, call);
                assert_eq!(state.counts(call), [0; 3], "{name}");
            }
        }
        // A call that is refused was made all the same.
        make(&mut client, 0);
        assert_eq!(state.counts(0), [1, 1, 0]);
    }

    #[test]
    fn no_call_is_another_by_a_second_name() {
        let (_, calls) = include_str!("calls.rs").split_once("CALLS: [").unwrap();
        let (calls, _) = calls.split_once("\n];").unwrap();
        let calls = calls.split("\n    (\"").skip(1);
        let mut bodies: Vec<_> = calls.map(|call| call.split_once('"').unwrap().1).collect();
        bodies.sort_unstable();
        bodies.dedup();
        assert_eq!(bodies.len(), CALLS.len());
    }
}

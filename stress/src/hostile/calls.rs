//! Every operation of the public API, as a worker calls it on a store under attack. Any answer is right
//! but one beyond its bounds; what is not right either is a panic, a fault or a call that does not return,
//! and those the parent sees.

use super::caller::{Answered, Caller, MARGIN, MARK, ORDERS};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use splinter::{Advice, Error, IntegerOp, Location, Notifier, Patience, Scrub, Store, Type};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

/// A call, by its name.
type Call = (&'static str, fn(&mut Caller<'_>) -> Answered);

/// The calls. What is rare, or slow, stands at the end.
pub(super) const CALLS: [Call; 66] = [
    ("get", |c| {
        let (store, key) = (c.store, c.key());
        c.read(|buf| store.get(&key, buf))
    }),
    ("get_short", |c| {
        let (store, key) = (c.store, c.key());
        let short = c.rng.below(16) as usize;
        match c.read_into(short, |buf| store.get(&key, buf)) {
            Err(Error::BufferTooSmall { needed }) => {
                c.bound(needed);
                false
            }
            answer => answer.is_ok(),
        }
    }),
    ("get_vec", |c| match c.store.get_vec(c.key()) {
        Ok(value) => c.bound(value.len()),
        Err(_) => false,
    }),
    ("get_u64", |c| c.store.get_u64(c.key()).is_ok()),
    ("get_with", |c| {
        match c
            .store
            .get_with(c.key(), |value| (value.len(), value.epoch()))
        {
            Ok((len, _)) => c.bound(len),
            Err(_) => false,
        }
    }),
    ("view", |c| {
        let (store, key) = (c.store, c.key());
        let Ok(view) = store.view(&key) else {
            return false;
        };
        let (len, index) = (view.len(), c.rng.below(1 << 20) as usize);
        let bytes = view.bytes().count();
        let _ = (
            view.is_current(),
            view.epoch(),
            view.word(index),
            view.word(0),
        );
        c.bound(len) && c.bound(bytes) && c.read(|buf| Ok(view.copy_to(buf)))
    }),
    ("value_len", |c| match c.store.value_len(c.key()) {
        Ok(len) => c.bound(len),
        Err(_) => false,
    }),
    ("contains", |c| c.store.contains(c.key()).is_ok()),
    ("epoch", |c| c.store.epoch(c.key()).is_ok()),
    ("vector", |c| {
        let (store, key) = (c.store, c.key());
        store.vector(&key, &mut c.vector).is_ok()
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
        c.hold(whole) && c.bound(longest)
    }),
    ("resolve", |c| match c.store.resolve(c.key()) {
        Ok(handle) => {
            c.handles.push(handle);
            let excess = c.handles.len().saturating_sub(8);
            c.handles.drain(..excess);
            true
        }
        Err(_) => false,
    }),
    ("get_at", |c| {
        let (store, handle) = (c.store, c.handle());
        handle.is_some_and(|handle| c.read(|buf| store.get_at(&handle, buf)))
    }),
    ("snapshot", |c| match c.store.snapshot(c.key()) {
        Ok(slot) => {
            let arena_len = c.store.arena_len();
            c.hold(slot.value_offset < arena_len) && c.bound(slot.value_len)
        }
        Err(_) => false,
    }),
    ("tandem", |c| {
        let (store, key) = (c.store, c.key());
        let mut values = vec![Vec::new(); 1 + c.rng.below(5) as usize];
        if store.tandem(&key, &mut values).is_err() {
            return false;
        }
        values.iter().all(|value| c.bound(value.len()))
    }),
    ("for_each_label", |c| {
        let (mask, mut met) = (c.rng.next_u64() & c.rng.next_u64(), 0);
        c.store.for_each_label(mask, |_, _| met += 1);
        c.at_most_slots(met)
    }),
    ("keys", |c| {
        let count = c.store.keys().count() as u64;
        c.at_most_slots(count)
    }),
    ("len", |c| {
        let count = c.store.len();
        let _ = c.store.is_empty();
        c.at_most_slots(count)
    }),
    ("header", |c| {
        let header = c.store.header();
        let _ = (c.store.scrub(), c.store.user_flags(), c.store.auto_vacuum());
        let geometry = c.store.geometry();
        c.hold(header.geometry == geometry)
    }),
    ("poll", |c| {
        let (key, deadline) = (c.key(), c.deadline());
        c.store.poll(key, deadline).is_ok()
    }),
    ("poll_after", |c| {
        let (key, deadline, epoch) = (c.key(), c.deadline(), c.rng.next_u64());
        c.store.poll_after(key, epoch, deadline).is_ok()
    }),
    ("try_next", |c| {
        c.hear(|watcher, _| watcher.try_next().is_ok())
    }),
    ("wait", |c| {
        c.hear(|watcher, deadline| watcher.wait(deadline).is_ok())
    }),
    ("resync", |c| {
        let mut most = 0;
        let good = c.hear(|watcher, _| {
            let mut met = 0;
            watcher.resync(|_| met += 1);
            most = met.max(most);
            true
        });
        c.at_most_slots(most) & good
    }),
    ("signal_count", |c| {
        let group = c.group();
        c.store.signal_count(group).is_some()
    }),
    ("pollable_next", |c| {
        let Some(pollable) = &mut c.pollable else {
            return false;
        };
        (0..70)
            .take_while(|_| matches!(pollable.try_next(), Ok(Some(_))))
            .count()
            > 0
    }),
    ("pollable_wait", |c| {
        let Some(pollable) = &c.pollable else {
            return false;
        };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, 0);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        let added = epoll.and_then(|epoll| epoll.add(pollable, event).map(|()| epoll));
        let timeout = EpollTimeout::from(c.rng.below(2) as u8);
        added.is_ok_and(|epoll| epoll.wait(&mut [EpollEvent::empty()], timeout) == Ok(1))
    }),
    ("pollable_resync", |c| match &mut c.pollable {
        Some(pollable) => {
            pollable.resync(|_| ());
            true
        }
        None => false,
    }),
    ("set", |c| {
        c.write(|writer, key, body, _| writer.set(key, body).is_ok())
    }),
    ("set_again", |c| {
        c.write(|writer, key, body, _| writer.set(key, body).is_ok())
    }),
    ("set_at", |c| {
        let handle = c.handle();
        c.write(|writer, _, body, _| handle.is_some_and(|at| writer.set_at(&at, body).is_ok()))
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
    ("append", |c| {
        c.write(|writer, key, body, _| writer.append(key, body).is_ok())
    }),
    ("unset", |c| {
        c.write(|writer, key, _, _| writer.unset(key).is_ok())
    }),
    ("bump", |c| {
        c.write(|writer, key, _, _| writer.bump(key).is_ok())
    }),
    ("integer", |c| {
        c.write(|writer, key, _, word| writer.integer(key, operation(word)).is_ok())
    }),
    ("integer_at", |c| {
        let handle = c.handle();
        c.write(|writer, _, _, word| {
            handle.is_some_and(|at| writer.integer_at(&at, operation(word)).is_ok())
        })
    }),
    ("set_u64", |c| {
        c.write(|writer, key, _, word| writer.set_u64(key, word).is_ok())
    }),
    ("set_type", |c| {
        c.write(|writer, key, _, word| {
            writer
                .set_type(key, Type::ALL[word as usize % Type::ALL.len()])
                .is_ok()
        })
    }),
    ("label", |c| {
        c.write(|writer, key, _, word| writer.label(key, word).is_ok())
    }),
    ("unlabel", |c| {
        c.write(|writer, key, _, word| writer.unlabel(key, word).is_ok())
    }),
    ("register", |c| {
        c.write(|writer, key, _, word| writer.register(key, word as u8 & 63).is_ok())
    }),
    ("unregister", |c| {
        c.write(|writer, key, _, word| writer.unregister(key, word as u8 & 63).is_ok())
    }),
    ("pulse", |c| {
        c.write(|writer, key, _, _| writer.pulse(key).is_ok())
    }),
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
    ("clear_vector", |c| {
        c.write(|writer, key, _, _| writer.clear_vector(key).is_ok())
    }),
    ("set_tandem", |c| {
        c.write(|writer, key, body, _| writer.set_tandem(key, &[body; ORDERS]).is_ok())
    }),
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
        c.writer.is_some()
    }),
    ("watch", |c| {
        let groups: Vec<u8> = (0..=c.rng.below(4)).map(|_| c.group()).collect();
        let watcher = match c.rng.below(2) {
            0 => c.store.watch_all(),
            _ => c.store.watch(&groups),
        };
        let good = watcher.is_ok();
        c.watchers.extend(watcher);
        let excess = c.watchers.len().saturating_sub(3);
        c.watchers.drain(..excess);
        good
    }),
    ("pollable", |c| {
        c.pollable = None;
        let notifier = [Notifier::IoUring, Notifier::HelperThread][c.rng.below(2) as usize];
        let group = c.group();
        let watcher = c.store.watch(&[group]);
        c.pollable = watcher
            .and_then(|watcher| watcher.pollable_by(notifier))
            .ok();
        c.pollable.is_some()
    }),
    ("route_labels", |c| {
        let (mask, group) = (c.rng.next_u64(), c.group());
        c.store.register_labels(mask, group).is_ok()
            & c.store.unregister_labels(mask >> 1, group).is_ok()
    }),
    ("flags", |c| {
        let (mask, level) = (c.rng.next_u64() as u16, c.rng.below(3) as usize);
        c.store.set_user_flags(mask).is_ok()
            & c.store.clear_user_flags(!mask).is_ok()
            & c.store.set_scrub(Scrub::ALL[level]).is_ok()
            & c.store.report_parse_failure().is_ok()
    }),
    ("claim_bid", |c| {
        let (id, terms) = (c.bid_id(), c.terms());
        c.store.claim_bid(id, terms).is_ok()
    }),
    ("rebid", |c| {
        let (id, terms) = (c.bid_id(), c.terms());
        c.store.rebid(id, terms).is_ok()
    }),
    ("release_bid", |c| {
        let id = c.bid_id();
        match c.rng.below(2) {
            0 => c.store.release_bid(id).is_ok(),
            _ => c.store.release_bid_as_supervisor(id).is_ok(),
        }
    }),
    ("bids", |c| {
        let id = c.bid_id();
        let bids = c.store.bids().map_or(0, |bids| bids.len());
        let _ = (c.store.election(), c.store.is_sovereign(id));
        c.hold(bids <= 32)
    }),
    ("advise", |c| {
        let (id, len) = (c.bid_id(), c.store.arena_len());
        let patience = match c.deadline() {
            Some(deadline) if c.rng.below(2) == 0 => Patience::Until(deadline),
            _ => Patience::Defer,
        };
        let range = c.rng.below(len)..len;
        c.store.advise(id, range, Advice::Random, patience).is_ok()
    }),
    ("inspect", |c| match c.store.inspect() {
        Ok(found) => c.at_most_slots(found.keys),
        Err(_) => false,
    }),
    ("residency", |c| {
        c.store.residency().is_ok() & c.store.flush().is_ok()
    }),
    ("open_fd", |c| {
        let fd = c.store.fd().try_clone_to_owned();
        let store = fd.ok().and_then(|fd| Store::from_fd(fd).ok());
        c.tour(store)
    }),
    ("open_read_only", |c| {
        let path = format!("/proc/self/fd/{}", c.store.fd().as_raw_fd());
        let store = File::open(path).ok();
        let store = store.and_then(|file| Store::from_fd(OwnedFd::from(file)).ok());
        c.tour(store)
    }),
    ("open_file", |c| {
        let bytes = c.forge();
        if std::fs::write(c.scratch, bytes).is_err() {
            return false;
        }
        let store = Store::open(&Location::file(c.scratch)).ok();
        c.tour(store)
    }),
];

/// Calls that take long, since they walk through all there is, and how often they are passed over.
const SLOW: [&str; 8] = [
    "purge",
    "inspect",
    "residency",
    "open_fd",
    "open_read_only",
    "open_file",
    "pollable",
    "keys",
];
const PASS_OVER: u64 = 15;

/// Has everything called in any order until the board says that it is over.
pub(super) fn call_all(caller: &mut Caller<'_>) {
    while !caller.board.is_stopped() {
        let call = caller.rng.below(CALLS.len() as u64) as usize;
        let (name, body) = CALLS[call];
        if SLOW.contains(&name) && caller.rng.below(PASS_OVER) > 0 {
            continue;
        }
        caller.calling = call;
        caller.board.begin(caller.number, call);
        let good = body(caller);
        caller.board.end(caller.number, call, good);
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

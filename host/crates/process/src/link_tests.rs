use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

fn ends() -> (Link, Link) {
    let (near, far) = Link::pair().unwrap();
    (near, Link::far(far, Duration::ZERO).unwrap())
}

/// Bytes with values that depend on their position.
fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn a_message_larger_than_the_ring_passes_while_it_is_read() {
    let (mut near, mut far) = ends();
    let total = 5 * CAPACITY as usize + 77;
    let writer = thread::spawn(move || {
        near.put(&pattern(0, total)).unwrap();
        near.send();
    });
    let mut read = Vec::new();
    far.append(total, &mut read).unwrap();
    writer.join().unwrap();
    assert_eq!(read, pattern(0, total));
}

#[test]
fn both_directions_go_round_their_rings_again_and_again() {
    let (mut near, mut far) = ends();
    const PIECE: usize = 30_000;
    let rounds = 4 * CAPACITY as usize / PIECE;
    let echo = thread::spawn(move || {
        for _ in 0..rounds {
            let mut bytes = Vec::new();
            far.append(PIECE, &mut bytes).unwrap();
            far.taken();
            far.put(&bytes).unwrap();
            far.send();
        }
    });
    for round in 0..rounds {
        near.put(&pattern(round * PIECE, PIECE)).unwrap();
        near.send();
        let mut back = vec![0; PIECE];
        near.get(&mut back).unwrap();
        near.taken();
        assert_eq!(back, pattern(round * PIECE, PIECE));
    }
    echo.join().unwrap();
}

#[test]
fn a_reader_that_sleeps_is_woken_by_the_first_byte() {
    let (mut near, mut far) = ends();
    let reader = thread::spawn(move || {
        let mut bytes = [0; 3];
        far.get(&mut bytes).unwrap();
        bytes
    });
    while load(&near.peer, ASLEEP) != NOW {
        thread::yield_now();
    }
    near.put(b"abc").unwrap();
    near.send();
    assert_eq!(reader.join().unwrap(), *b"abc");
}

#[test]
fn a_timeout_ends_a_wait_for_what_never_comes() {
    let (mut near, _far) = ends();
    near.set_timeout(Some(Duration::from_millis(20)));
    assert_eq!(near.get(&mut [0]), Err(WireError::Overdue(20)));
}

#[test]
fn nobody_is_impatient_while_nothing_is_due() {
    let (mut near, _far) = ends();
    near.set_timeout(Some(Duration::from_millis(1)));
    near.begin();
    // Longer than the timeout and than a whole message may take, so that an answer would be overdue.
    thread::sleep(Duration::from_millis(1) * (2 * WHOLE));
    assert_eq!(near.doze(Duration::from_millis(5)), Ok(()));
}

#[test]
fn a_message_that_trickles_is_waited_for_no_longer_than_a_message_may_take() {
    let (mut near, mut far) = ends();
    near.set_timeout(Some(Duration::from_millis(20)));
    let done = Arc::new(AtomicBool::new(false));
    let trickle = thread::spawn({
        let done = Arc::clone(&done);
        move || {
            while !done.load(Ordering::SeqCst) {
                // Send one byte for each look, so that no single wait is long.
                if [BYTES, NOW].contains(&load(&far.peer, ASLEEP)) {
                    far.put(&[1]).unwrap();
                    far.send();
                }
                thread::yield_now();
            }
        }
    });
    near.begin();
    let read = near.append(64 << 20, &mut Vec::new());
    done.store(true, Ordering::SeqCst);
    trickle.join().unwrap();
    assert_eq!(read, Err(WireError::Slow(200)));
}

#[test]
fn what_a_dead_peer_sent_before_is_still_read_and_then_its_death_is_told() {
    let (mut near, mut far) = ends();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let process =
        rustix::process::pidfd_open(rustix::process::Pid::from_child(&child), rustix::process::PidfdFlags::empty());
    near.watch(Arc::new(process.unwrap()));
    child.wait().unwrap();
    far.put(b"last").unwrap();
    far.send();
    let mut bytes = [0; 4];
    near.get(&mut bytes).unwrap();
    assert_eq!(bytes, *b"last");
    assert_eq!(near.get(&mut [0]), Err(WireError::Gone));
}

#[test]
fn numbers_that_cannot_be_are_an_error_whoever_writes_them() {
    for (what, at, number) in [
        ("bytes that were never written", HEAD, CAPACITY + 1),
        ("a head that goes back", HEAD, 0_u64.wrapping_sub(1)),
        ("half of everything", HEAD, u64::MAX / 2),
        ("bytes taken that were never sent", TAIL, 1),
        ("as many as there are numbers", TAIL, u64::MAX / 2),
    ] {
        let (mut near, far) = ends();
        near.set_timeout(Some(Duration::from_secs(5)));
        store(&far.own, at, number);
        let failed = match at {
            HEAD => near.get(&mut [0]),
            _ => near.put(&vec![0; CAPACITY as usize + 1]),
        };
        assert!(matches!(failed, Err(WireError::Broken(_))), "{what}: {failed:?}");
        assert!(near.room().is_err() || at == HEAD, "{what}");
    }
}

#[test]
fn neither_side_can_write_what_the_other_does_nor_change_a_size() {
    let (_, far) = Link::pair().unwrap();
    // The host's own file: no process can map it for writing again, and neither process can change its size.
    assert!(Mapping::of(&far.peer, RING, CAPACITY as usize, true).is_err());
    assert!(Mapping::of(&far.peer, RING, CAPACITY as usize, false).is_ok());
    for file in [&far.own, &far.peer] {
        assert!(rustix::fs::ftruncate(file, 0).is_err());
        assert!(rustix::fs::ftruncate(file, 2 * CAPACITY).is_err());
    }
    assert!(rustix::io::pwrite(&far.peer, b"x", 0).is_err());
}

#[test]
fn what_is_sent_quietly_is_seen_within_moments_though_nobody_wakes_its_reader() {
    let (mut near, mut far) = ends();
    let reader = thread::spawn(move || {
        let mut bytes = [0; 2];
        near.get(&mut bytes).unwrap();
        bytes
    });
    for byte in b"ab" {
        while load(&far.peer, ASLEEP) == AWAKE {
            thread::yield_now();
        }
        far.put(&[*byte]).unwrap();
        far.send_coalesced();
    }
    // The doorbell did not ring for the coalesced bytes unless the reader waited for any byte.
    assert_eq!(reader.join().unwrap(), *b"ab");
}

//! Fail points: places at which a test makes the program stand still, panic or fail, to play a crash at its worst moment.
//!
//! They exist in builds with debug assertions alone. In others [`fail_point!`](crate::fail_point!) expands to nothing, so
//! that neither a call nor the name of a place is in a release.
//!
//! `REGAIN_FAIL_POINTS` names a directory, which is looked into each time that a place is reached, so that a test can
//! prepare a running program. A file that is called as a place holds what happens there:
//!
//! | text | what happens |
//! | --- | --- |
//! | `pause` | the thread that came there stands still for ever |
//! | `panic` | it panics |
//! | `error` | the step there fails, where it can; elsewhere nothing |
//!
//! A number behind it (`panic 2`) is how often; after that the place is passed. Whenever something happens, how often it
//! has is written to a file called as the place with `.reached` behind it.
//!
//! This is the one thing in this crate that knows of files and of the environment.

#[cfg(debug_assertions)]
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    thread,
};

/// Marks a place that a test may want to reach: `fail_point!("store.before_commit")`. With a second part, such as a
/// `return`, that is done where the step is to fail.
#[macro_export]
macro_rules! fail_point {
    ($place:literal) => {
        #[cfg(debug_assertions)]
        let _ = $crate::fail_point::reached($place);
    };
    ($place:literal, $failure:expr) => {
        #[cfg(debug_assertions)]
        if $crate::fail_point::reached($place) {
            $failure
        }
    };
}

/// The variable that names the directory.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "REGAIN_FAIL_POINTS";

/// Does what the test wants at this place. Answers whether the step there is to fail.
///
/// # Panics
/// Where the test wants it, or where what it wants is not understood.
#[cfg(debug_assertions)]
pub fn reached(place: &str) -> bool {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| env::var_os(VARIABLE).map(PathBuf::from));
    directory.as_ref().is_some_and(|directory| reached_under(directory, place))
}

#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "it is what a test asks for")]
fn reached_under(directory: &Path, place: &str) -> bool {
    // A file that was just made may still be empty.
    let wanted = fs::read_to_string(directory.join(place)).unwrap_or_default();
    let (what, times) = wanted.trim().split_once(' ').unwrap_or((wanted.trim(), ""));
    if what.is_empty() {
        return false;
    }
    let most = if times.is_empty() { Some(u32::MAX) } else { times.parse().ok() };
    let Some(most) = most else { panic!("the fail point {place} cannot happen {times} times") };
    let Some(count) = next(&directory.join(place), most) else { return false };
    let told = fs::write(directory.join(format!("{place}.reached")), count.to_string());
    assert!(told.is_ok(), "the fail point {place} cannot tell that it was reached");
    match what {
        "pause" => loop {
            thread::park();
        },
        "panic" => panic!("the fail point {place}"),
        "error" => true,
        other => panic!("the fail point {place} knows no {other}"),
    }
}

/// Counts what happens at a place, at most `most` times.
#[cfg(debug_assertions)]
fn next(place: &Path, most: u32) -> Option<u32> {
    static COUNTS: Mutex<BTreeMap<PathBuf, u32>> = Mutex::new(BTreeMap::new());
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = counts.entry(place.to_owned()).or_default();
    if *count >= most {
        return None;
    }
    *count += 1;
    Some(*count)
}

#[cfg(test)]
#[cfg(debug_assertions)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = env::temp_dir().join(format!("regain-fail-point-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn a_place_is_passed_unless_a_file_says_otherwise_and_no_more_often_than_it_says() {
        let directory = directory("error");
        assert!(!reached_under(&directory, "here"));
        fs::write(directory.join("here"), "error 2\n").unwrap();
        assert!(!reached_under(&directory, "there"));
        assert!(reached_under(&directory, "here"));
        assert_eq!(fs::read_to_string(directory.join("here.reached")).unwrap(), "1");
        assert!(reached_under(&directory, "here"));
        assert!(!reached_under(&directory, "here"));
        assert_eq!(fs::read_to_string(directory.join("here.reached")).unwrap(), "2");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_panic_is_one_and_so_is_what_is_not_understood() {
        let directory = directory("panic");
        for wanted in ["panic", "pnaic", "error twice"] {
            fs::write(directory.join("here"), wanted).unwrap();
            assert!(catch_unwind(|| reached_under(&directory, "here")).is_err(), "{wanted}");
        }
        fs::remove_dir_all(directory).unwrap();
    }
}

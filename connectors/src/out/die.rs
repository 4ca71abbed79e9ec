//! Points at which a run can be made to die, for tests of what it leaves behind. In programs that are not tested they are nothing.

/// The points, in the order of a commit, then those of a run that goes on.
///
/// A test's program dies at one of them at the pass that `FAILPOINTS` says: `FAILPOINTS="checkpoint made=2*off->return"` is the third.
pub const POINTS: [&str; 10] = [
    "segments staged",
    "checkpoint written",
    "checkpoint linked",
    "checkpoint made",
    "segment renamed",
    "segment placed",
    "manifest published",
    "segment placed again",
    "stray removed",
    "run begins",
];

/// Dies, if this is the point and the pass.
pub fn die_at(_point: &str) {
    fail::fail_point!(_point, |_| std::process::abort());
}

//! Bounds of everything that the proxy reads or waits for, each with its reason.
//!
//! Bounds of index documents and artifacts belong to the protocol and are not here.

use std::time::Duration;

/// The session's plan: a lockfile of some hundred thousand entries.
pub(super) const PLAN: usize = 256 * 1024 * 1024;
/// Time for the plan to arrive; the session sends it at once.
pub(super) const PLAN_TIME: Duration = Duration::from_secs(30);
/// Connections served at a time; more wait in the session's socket. Managers use about 15.
pub(super) const CONNECTIONS: usize = 256;
/// Header lines of a request.
pub(super) const HEADERS: usize = 100;
/// Bytes of a request's head.
pub(super) const HEAD: usize = 32 * 1024;
/// Requests at a time on one HTTP/2 connection.
pub(super) const STREAMS: u32 = 256;
/// Time for the manager to send a request's head, and the time a kept connection may be idle.
pub(super) const IDLE: Duration = Duration::from_secs(180);
/// Time for the manager's half of the TLS handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);
/// An audit request lists the dependencies, compressed or not.
pub(super) const AUDIT: usize = 4 * 1024 * 1024;
/// Time for an audit request's body.
pub(super) const AUDIT_TIME: Duration = Duration::from_secs(30);
/// Metadata without digests.
pub(super) const METADATA: u64 = 16 * 1024 * 1024;
/// Bytes of an artifact below which looking into it takes no longer than handing it to the thread that
/// reads.
pub(super) const READ_HERE: u64 = 64 * 1024;
/// A file that states a digest; some name the file too.
pub(super) const SIDE_FILE: u64 = 4 * 1024;
/// The body of an error answer that is passed on so that the manager can show it.
pub(super) const FAILURE: usize = 64 * 1024;
/// Longest header value that is taken from a request.
pub(super) const HEADER_VALUE: usize = 1024;
/// Distinct findings that are reported; more are counted.
pub(super) const FINDINGS: usize = 10_000;
/// One network address.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// Name, address and TLS handshake together.
pub(super) const REACH: Duration = Duration::from_secs(30);
/// From a request that was sent to the head of its answer; registries render large indexes slowly.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// Between two pieces of a body.
pub(super) const PIECE: Duration = Duration::from_secs(30);
/// One fetch with all its tries.
pub(super) const FETCH: Duration = Duration::from_secs(30 * 60);
/// Tries of a request that may be repeated.
pub(super) const TRIES: u32 = 3;
/// Wait before the second try; the third waits for four times as long.
pub(super) const BACKOFF: Duration = Duration::from_millis(150);
/// Longest `Retry-After` that is waited for.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Redirects followed within a repository.
pub(super) const HOPS: usize = 3;
/// Packages that are fetched ahead and not asked for yet.
pub(super) const AHEAD: usize = 24;
/// Packages that are fetched ahead at the same time.
pub(super) const AHEAD_TOGETHER: usize = 4;
/// Descriptions that are followed and not asked for yet.
pub(super) const LEADS: usize = 512;
/// Descriptions that are followed at the same time.
pub(super) const LEADS_TOGETHER: usize = 8;
/// Largest description that is followed.
pub(super) const DESCRIPTION: usize = 256 * 1024;
/// What descriptions describe, fetched ahead and not asked for yet.
pub(super) const DESCRIBED: usize = 64;
/// The same that are fetched at the same time; managers use about five.
pub(super) const DESCRIBED_TOGETHER: usize = 6;
/// How many of them are fetched ahead for each that the manager asks for, when no lock names them.
pub(super) const DESCRIBED_EACH: usize = 4;
/// Artifacts without a kind of side file after which a repository is not asked for that kind.
pub(super) const KIND_ABSENT: u32 = 3;
/// Time to hand over what is still to be said when the run ends.
pub(super) const FLUSH: Duration = Duration::from_secs(5);
/// Size and age that the store is trimmed to.
pub(super) const STORE: u64 = 10 * 1024 * 1024 * 1024;
/// Blobs that no run used for this long are removed.
pub(super) const STORE_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Side requests about signatures and origin at a time; they share connections with artifacts.
pub(super) const SIDE_TOGETHER: usize = 12;
/// Side requests of a run: two an artifact for the largest installs.
pub(super) const SIDE_REQUESTS: u32 = 20_000;
/// What a repository says of one version, or its keys.
pub(super) const SIDE_DOCUMENT: u64 = 1024 * 1024;
/// The attestations of one artifact.
pub(super) const ATTESTATIONS: u64 = 4 * 1024 * 1024;
/// A signature in a file of its own.
pub(super) const DETACHED: u64 = 256 * 1024;
/// An artifact over which a publisher's signature is checked: it is in memory as a whole for that.
pub(super) const SIGNED: u64 = 32 * 1024 * 1024;
/// One side request with all its tries.
pub(super) const SIDE_TIME: Duration = Duration::from_secs(15);
/// Versions without any mark after which a repository is asked for no more.
pub(super) const SIDE_BARREN: u32 = 3;
/// Failures to answer after which a repository is asked for no more.
pub(super) const SIDE_FAILURES: u32 = 3;
/// Part of the run that may be waited for side requests after the manager's end: one in that many.
pub(super) const SIDE_SHARE: u32 = 50;
/// The least and the most of that. The least is more than a round trip to any repository that answers, so
/// that what was asked in a short run is heard; it is waited for only while something is under way.
pub(super) const SIDE_GRACE: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(3));
/// How long an answer of an earlier run stands for a question about the same bytes.
pub(super) const HEARD_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Packages of a repository whose times of publication are asked for.
pub(super) const SIDE_HISTORIES: u32 = 2;

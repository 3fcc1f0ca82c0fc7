//! The named maxima of this crate. Clients can reach each of them; none may cost more memory than it names.

/// Bytes of one key, and of the target of a symbolic link.
pub const KEY_LEN_MAX: usize = 64 << 10;
/// Components of one path, links resolved. Bounds the depth of every recursion over the tree.
pub const KEY_COMPONENTS_MAX: usize = 512;
/// Symbolic links followed in one walk, as in flux-core.
pub const SYMLINK_DEPTH_MAX: u32 = 10;
/// Operations of one commit.
pub const TXN_OPS_MAX: usize = 1 << 20;
/// Bytes of one blob, and so of one value as it is put (RFC 10's temporary limit is 1 GiB; SQLite's own is 10^9).
pub const BLOB_LEN_MAX: usize = 512 << 20;
/// Bytes of a value as it is returned in one response; larger ones are read with the STREAM flag.
pub const VALUE_LEN_MAX: usize = 512 << 20;
/// A value whose base64 text is longer than this is a blob of its own (RFC 11 "short values"; the bound is flux-core's).
pub const INLINE_BASE64_MAX: usize = 72;

/// Namespaces, aliases of running jobs among them.
pub const NAMESPACES_MAX: usize = 1 << 20;
/// Bytes of a namespace's name.
pub const NAMESPACE_NAME_LEN_MAX: usize = 1024;
/// Watchers of all namespaces together.
pub const WATCHERS_MAX: usize = 1 << 18;
/// Watchers, and requests that wait for a version, of one guest: guests must not take what the owner's services need.
pub const WAITS_PER_GUEST_MAX: usize = 4096;
/// Keys of one `kvs.lookup-many`.
pub const LOOKS_MAX: usize = 4096;
/// Requests that wait for blobs, versions or recovery.
pub const PENDING_MAX: usize = 1 << 16;
/// Mutations that wait in line behind one that needs a blob.
pub const QUEUE_MAX: usize = 1 << 16;

/// Log bytes after which the tree is hashed and stored, and the log trimmed.
pub const CHECKPOINT_LOG_BYTES: u64 = 4 << 20;
/// Blob bytes not yet in the database after which they are put there even without a checkpoint.
pub const UNSTORED_FLUSH_BYTES: usize = 8 << 20;
/// Bytes (log since the checkpoint, and blobs not in the database) at which new commits are refused with ENOSPC.
pub const BACKLOG_BYTES_MAX: u64 = 1 << 30;
/// Bytes read back from the database into the tree before what was not used lately is dropped again.
pub const LOADED_BYTES_MAX: usize = 16 << 20;
/// Bytes of blobs from the broker above that a broker keeps.
pub const CACHE_BYTES_MAX: usize = 16 << 20;
/// Namespaces that a broker follows, and followers of one broker, all namespaces together.
pub const FEEDS_MAX: usize = 4096;
pub const FOLLOWERS_MAX: usize = 1 << 16;
/// Requests that a broker has passed on to the one above and that are not answered yet.
pub const RELAYS_MAX: usize = 1 << 16;
/// Appended pieces of a value are joined, when they are stored, into blobs of up to this many bytes.
pub const JOINED_BLOB_LEN_MAX: usize = 64 << 10;
/// Bytes that a watcher was sent of commits that are not in the log yet, kept in case they are taken back.
pub const WATCH_TAIL_LEN_MAX: usize = 4096;
/// Checkpoints kept in the list that `content.checkpoint-get` returns (`[content-sqlite] max_checkpoints`).
pub const CHECKPOINTS_KEPT: usize = 5;
/// Most checkpoints that configuration may ask for.
pub const CHECKPOINTS_KEPT_MAX: usize = 1000;
/// Blobs that one request marks for a garbage collector, rows that one deletes, and rows that one looks at.
pub const MARK_HASHES_MAX: usize = 16384;
pub const SWEEP_DELETES_MAX: u32 = 8192;
pub const SWEEP_ROWS_MAX: u32 = 1 << 19;

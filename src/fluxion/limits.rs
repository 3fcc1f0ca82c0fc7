//! Every maximum of this room, by name. A peer, user or file can reach any of them; each ends in an error, not in memory.

/// Vertices a resource graph may hold (about 350 bytes each).
pub const VERTEX_COUNT_MAX: usize = 16_000_000;
/// Edges a resource graph may hold.
pub const EDGE_COUNT_MAX: usize = 32_000_000;
/// Bytes of a graph, jobspec or R document.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 30;
/// Bytes of one jobspec document.
pub const JOBSPEC_BYTES_MAX: usize = 16 << 20;
/// Nodes (scalars, lists, maps) a YAML document may expand to, aliases included.
pub const YAML_NODE_COUNT_MAX: usize = 1_000_000;
/// Levels a YAML or request document may nest.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// Resource requests in one jobspec.
pub const REQUEST_COUNT_MAX: usize = 4096;
/// Levels a resource graph may nest in one subsystem: bounds the recursion of every walk.
pub const GRAPH_DEPTH_MAX: usize = 64;
/// Distinct resource types.
pub const TYPE_COUNT_MAX: usize = 4096;
/// Distinct subsystems.
pub const SUBSYSTEM_COUNT_MAX: usize = 64;
/// Ids one idset may name when a document is read.
pub const IDSET_COUNT_MAX: usize = 16_000_000;
/// Hosts one hostlist may name.
pub const HOST_COUNT_MAX: usize = 4_000_000;
/// Jobs that may hold allocations or reservations at once.
pub const JOB_COUNT_MAX: usize = 16_000_000;
/// Variants that `xor_slot` alternatives may expand to.
pub const XOR_VARIANT_COUNT_MAX: usize = 1000;
/// Nesting of parentheses in a find expression.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// The longest duration a graph plans for, in seconds: a hundred years.
pub const GRAPH_DURATION_MAX: i64 = 3_153_600_000;
/// Bytes of one line read by resource-query.
pub const COMMAND_LINE_BYTES_MAX: usize = 1 << 20;
/// Streams of `sched-fluxion-resource.notify`.
pub const NOTIFY_COUNT_MAX: usize = 1024;
/// Jobs behind the head of a queue that are looked at in one cycle, whether they can ever start.
pub const FRESH_PER_CYCLE_MAX: usize = 1024;
/// Bytes a match policy in Lua may use.
pub const SCRIPT_MEMORY_MAX: usize = 16 << 20;
/// Instructions of Lua that the score of one resource may take.
pub const SCRIPT_INSTRUCTIONS_MAX: u64 = 100_000;
/// The highest score of a match policy in Lua; the lowest is 0.
pub const SCRIPT_SCORE_MAX: f64 = 1e9;
/// Seconds after which a turn of matching in the loop ends, once a match has ended; what is left is done in a thread.
pub const TURN_IN_LOOP_SECONDS_MAX: f64 = 0.001;
/// The same in the thread: then what was decided is told.
pub const TURN_SECONDS_MAX: f64 = 0.02;
/// The same when somebody waits for the graph.
pub const HURRIED_SECONDS_MIN: f64 = 0.001;
/// Vertices of a graph that is searched in the loop: a search of more may take longer than a turn there.
pub const VERTEX_IN_LOOP_COUNT_MAX: usize = 5_000;
/// Messages that wait while the graph is lent; more make the loop wait for it.
pub const PARKED_COUNT_MAX: usize = 100_000;
/// Jobs a queue policy holds pending.
pub const PENDING_COUNT_MAX: usize = 4_000_000;

/// Vertices of a graph on which resource-query takes equal candidates in flux-sched's order, which needs all of them.
pub const REPLAY_VERTEX_COUNT_MAX: usize = 20_000;

/// Vertices visited to find how requests side by side can share what they want.
pub const SHARE_VISIT_COUNT_MAX: u64 = 100_000;

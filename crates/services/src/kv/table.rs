//! The one table of commands.

use super::call::Outcome;
use super::{
    Call, bitmaps, connection, hashes, keys, lists, pops, pubsub, server, set_algebra, sets,
};
use super::{
    blocking, diagnostics, sort, sorted_algebra, sorted_ranges, sorted_sets, strings, transactions,
};

/// Runs a command.
pub(super) type Handler = fn(&mut Call<'_>) -> Outcome;

/// What a command does, in bits.
pub(super) type Flags = u16;

/// Reads keys.
const R: Flags = 1;
/// Changes keys.
const W: Flags = 1 << 1;
/// Needs memory, so it is refused when there is none.
const M: Flags = 1 << 2;
/// Takes constant or logarithmic time.
const F: Flags = 1 << 3;
/// Is about channels.
const P: Flags = 1 << 5;
/// May wait.
const B: Flags = 1 << 6;
/// Is run at once within a transaction.
const N: Flags = 1 << 7;
/// Is allowed to a RESP2 client that has subscriptions.
const S: Flags = 1 << 8;
/// Has its keys in other places than the table can tell.
const K: Flags = 1 << 9;
/// Is refused within a transaction.
const X: Flags = 1 << 10;

pub(super) const WRITES: Flags = W;
pub(super) const NEEDS_MEMORY: Flags = M;
pub(super) const AT_ONCE: Flags = N;
pub(super) const SUBSCRIBED: Flags = S;
pub(super) const NOT_IN_MULTI: Flags = X;
pub(super) const MOVABLE_KEYS: Flags = K;
pub(super) const WAITS: Flags = B;

/// The names of flags, as COMMAND tells them.
pub(super) const FLAG_NAMES: [(Flags, &str); 8] = [
    (W, "write"),
    (R, "readonly"),
    (M, "denyoom"),
    (P, "pubsub"),
    (B, "blocking"),
    (F, "fast"),
    (K, "movablekeys"),
    (X, "no_multi"),
];

/// The group a command belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Bitmap,
    Connection,
    Generic,
    Hash,
    List,
    PubSub,
    Server,
    Set,
    SortedSet,
    String,
    Transactions,
}

impl Group {
    pub(super) fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Hash => "hash",
            Group::List => "list",
            Group::PubSub => "pubsub",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }
}

/// A command.
pub(super) struct Spec {
    /// Lower case.
    pub(super) name: &'static str,
    /// Arguments with the name; negative: at least so many.
    pub(super) arity: i8,
    pub(super) flags: Flags,
    /// The places of the first and last key, and from one to the next.
    pub(super) keys: (i8, i8, i8),
    pub(super) group: Group,
    pub(super) since: &'static str,
    pub(super) summary: &'static str,
    pub(super) handler: Handler,
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Spec {
    pub(super) fn has(&self, flag: Flags) -> bool {
        self.flags & flag != 0
    }

    /// Whether a command of so many arguments, its name included, can be right.
    pub(super) fn takes(&self, args: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { args >= least } else { args == least }
    }
}

macro_rules! table {
    ($($name:literal $arity:literal $($flag:ident)|* ($first:literal $last:literal $step:literal)
        $group:ident $since:literal $handler:path, $summary:literal;)*) => {
        /// All commands.
        pub(super) static TABLE: &[Spec] = &[$(Spec {
            name: $name,
            arity: $arity,
            flags: 0 $(| $flag)*,
            keys: ($first, $last, $step),
            group: Group::$group,
            since: $since,
            summary: $summary,
            handler: $handler,
        }),*];
        const NAMES: &[&str] = &[$($name),*];
    };
}

table! {
    "append" 3 W|M|F (1 1 1) String "2.0.0" strings::append, "Appends to a string.";
    "decr" 2 W|M|F (1 1 1) String "1.0.0" strings::decr, "Subtracts one from a number.";
    "decrby" 3 W|M|F (1 1 1) String "1.0.0" strings::decrby, "Subtracts from a number.";
    "get" 2 R|F (1 1 1) String "1.0.0" strings::get, "Gets a string.";
    "getdel" 2 W|F (1 1 1) String "6.2.0" strings::getdel, "Gets a string and deletes it.";
    "getex" -2 W|F (1 1 1) String "6.2.0" strings::getex, "Gets a string and sets its expiry.";
    "getrange" 4 R (1 1 1) String "2.4.0" strings::getrange, "Gets part of a string.";
    "getset" 3 W|M|F (1 1 1) String "1.0.0" strings::getset, "Sets a string, gets the old one.";
    "incr" 2 W|M|F (1 1 1) String "1.0.0" strings::incr, "Adds one to a number.";
    "incrby" 3 W|M|F (1 1 1) String "1.0.0" strings::incrby, "Adds to a number.";
    "incrbyfloat" 3 W|M|F (1 1 1) String "2.6.0" strings::incrbyfloat, "Adds to a float.";
    "mget" -2 R|F (1 -1 1) String "1.0.0" strings::mget, "Gets several strings.";
    "mset" -3 W|M (1 -1 2) String "1.0.1" strings::mset, "Sets several strings.";
    "msetnx" -3 W|M (1 -1 2) String "1.0.1" strings::msetnx, "Sets several strings if none exists.";
    "psetex" 4 W|M (1 1 1) String "2.6.0" strings::psetex, "Sets a string for milliseconds.";
    "set" -3 W|M (1 1 1) String "1.0.0" strings::set, "Sets a string.";
    "setex" 4 W|M (1 1 1) String "2.0.0" strings::setex, "Sets a string for seconds.";
    "setnx" 3 W|M|F (1 1 1) String "1.0.0" strings::setnx, "Sets a string if it does not exist.";
    "setrange" 4 W|M (1 1 1) String "2.2.0" strings::setrange, "Overwrites part of a string.";
    "strlen" 2 R|F (1 1 1) String "2.2.0" strings::strlen, "Gets the length of a string.";
    "substr" 4 R (1 1 1) String "1.0.0" strings::getrange, "Gets part of a string.";

    "bitcount" -2 R (1 1 1) Bitmap "2.6.0" bitmaps::bitcount, "Counts bits that are 1.";
    "bitop" -4 W|M (2 -1 1) Bitmap "2.6.0" bitmaps::bitop, "Combines strings bit by bit.";
    "bitpos" -3 R (1 1 1) Bitmap "2.8.7" bitmaps::bitpos, "Finds the first bit of a kind.";
    "getbit" 3 R|F (1 1 1) Bitmap "2.2.0" bitmaps::getbit, "Gets a bit.";
    "setbit" 4 W|M (1 1 1) Bitmap "2.2.0" bitmaps::setbit, "Sets a bit, gets the old one.";

    "copy" -3 W|M (1 2 1) Generic "6.2.0" keys::copy, "Copies a key.";
    "del" -2 W (1 -1 1) Generic "1.0.0" keys::del, "Deletes keys.";
    "exists" -2 R|F (1 -1 1) Generic "1.0.0" keys::exists, "Counts keys that exist.";
    "expire" -3 W|F (1 1 1) Generic "1.0.0" keys::expire, "Lets a key expire in seconds.";
    "expireat" -3 W|F (1 1 1) Generic "1.2.0" keys::expireat, "Lets a key expire at a time.";
    "expiretime" 2 R|F (1 1 1) Generic "7.0.0" keys::expiretime, "Tells when a key expires.";
    "keys" 2 R (0 0 0) Generic "1.0.0" keys::keys, "Lists keys by a pattern.";
    "move" 3 W|F (1 1 1) Generic "1.0.0" keys::move_key, "Moves a key to another database.";
    "object" -2 (0 0 0) Generic "2.2.3" keys::object, "Tells about the inside of a key.";
    "persist" 2 W|F (1 1 1) Generic "2.2.0" keys::persist, "Lets a key stay.";
    "pexpire" -3 W|F (1 1 1) Generic "2.6.0" keys::pexpire, "Lets a key expire in milliseconds.";
    "pexpireat" -3 W|F (1 1 1) Generic "2.6.0" keys::pexpireat, "Lets a key expire at a time.";
    "pexpiretime" 2 R|F (1 1 1) Generic "7.0.0" keys::pexpiretime, "Tells when a key expires.";
    "pttl" 2 R|F (1 1 1) Generic "2.6.0" keys::pttl, "Tells the milliseconds a key has left.";
    "randomkey" 1 R (0 0 0) Generic "1.0.0" keys::randomkey, "Gets any key.";
    "rename" 3 W (1 2 1) Generic "1.0.0" keys::rename, "Renames a key.";
    "renamenx" 3 W|F (1 2 1) Generic "1.0.0" keys::renamenx, "Renames a key to a free name.";
    "scan" -2 R (0 0 0) Generic "2.8.0" keys::scan, "Lists keys step by step.";
    "sort" -2 W|M|K (1 1 1) Generic "1.0.0" sort::sort, "Sorts the elements of a key.";
    "sort_ro" -2 R|K (1 1 1) Generic "7.0.0" sort::sort_ro, "Sorts the elements of a key.";
    "touch" -2 R|F (1 -1 1) Generic "3.2.1" keys::exists, "Counts keys that exist.";
    "ttl" 2 R|F (1 1 1) Generic "1.0.0" keys::ttl, "Tells the seconds a key has left.";
    "type" 2 R|F (1 1 1) Generic "1.0.0" keys::type_of, "Tells the type of a key.";
    "unlink" -2 W|F (1 -1 1) Generic "4.0.0" keys::del, "Deletes keys.";
    "wait" 3 (0 0 0) Generic "3.0.0" blocking::wait, "Waits for replicas, which there are not.";

    "auth" -2 F (0 0 0) Connection "1.0.0" connection::auth, "Logs in.";
    "client" -2 (0 0 0) Connection "2.4.0" connection::client, "Manages connections.";
    "echo" 2 F (0 0 0) Connection "1.0.0" connection::echo, "Sends a text back.";
    "hello" -1 F (0 0 0) Connection "6.0.0" connection::hello, "Chooses the protocol.";
    "ping" -1 F|S (0 0 0) Connection "1.0.0" connection::ping, "Answers.";
    "quit" -1 F|N|S (0 0 0) Connection "1.0.0" connection::quit, "Closes the connection.";
    "reset" 1 F|N|S (0 0 0) Connection "6.2.0" connection::reset, "Makes the connection like new.";
    "select" 2 F (0 0 0) Connection "1.0.0" connection::select, "Chooses the database.";

    "command" -1 (0 0 0) Server "2.8.13" server::command, "Tells about commands.";
    "config" -2 (0 0 0) Server "2.0.0" server::config, "Reads and sets parameters.";
    "dbsize" 1 R|F (0 0 0) Server "1.0.0" server::dbsize, "Counts the keys of the database.";
    "flushall" -1 W (0 0 0) Server "1.0.0" server::flushall, "Deletes everything.";
    "flushdb" -1 W (0 0 0) Server "1.0.0" server::flushdb, "Deletes the keys of the database.";
    "info" -1 (0 0 0) Server "1.0.0" server::info, "Tells about the server.";
    "lastsave" 1 F (0 0 0) Server "1.0.0" diagnostics::lastsave, "Tells when the service began.";
    "latency" -2 (0 0 0) Server "2.8.13" diagnostics::latency, "Tells about latency: nothing.";
    "memory" -2 (0 0 0) Server "4.0.0" diagnostics::memory, "Tells what a key takes.";
    "role" 1 F (0 0 0) Server "2.8.12" diagnostics::role, "Tells the role of the server.";
    "slowlog" -2 (0 0 0) Server "2.2.12" diagnostics::slowlog, "Tells about slow commands: nothing.";
    "swapdb" 3 W|F (0 0 0) Server "4.0.0" server::swapdb, "Swaps two databases.";
    "time" 1 F (0 0 0) Server "2.6.0" server::time, "Tells the time.";

    "discard" 1 F|N (0 0 0) Transactions "2.0.0" transactions::discard, "Drops a transaction.";
    "exec" 1 N (0 0 0) Transactions "1.2.0" transactions::exec, "Runs a transaction.";
    "multi" 1 F|N (0 0 0) Transactions "1.2.0" transactions::multi, "Begins a transaction.";
    "unwatch" 1 F (0 0 0) Transactions "2.2.0" transactions::unwatch, "Forgets watched keys.";
    "watch" -2 F|N (1 -1 1) Transactions "2.2.0" transactions::watch, "Watches keys until EXEC.";

    "psubscribe" -2 P|S (0 0 0) PubSub "2.0.0" pubsub::psubscribe, "Listens to patterns.";
    "publish" 3 P|F (0 0 0) PubSub "2.0.0" pubsub::publish, "Sends a message.";
    "pubsub" -2 (0 0 0) PubSub "2.8.0" pubsub::pubsub, "Tells about channels.";
    "punsubscribe" -1 P|S (0 0 0) PubSub "2.0.0" pubsub::punsubscribe, "Ends PSUBSCRIBE.";
    "subscribe" -2 P|S (0 0 0) PubSub "2.0.0" pubsub::subscribe, "Listens to channels.";
    "unsubscribe" -1 P|S (0 0 0) PubSub "2.0.0" pubsub::unsubscribe, "Ends SUBSCRIBE.";

    "hdel" -3 W|F (1 1 1) Hash "2.0.0" hashes::hdel, "Deletes fields.";
    "hexists" 3 R|F (1 1 1) Hash "2.0.0" hashes::hexists, "Tells whether a field exists.";
    "hget" 3 R|F (1 1 1) Hash "2.0.0" hashes::hget, "Gets a field.";
    "hgetall" 2 R (1 1 1) Hash "2.0.0" hashes::hgetall, "Gets all fields and values.";
    "hincrby" 4 W|M|F (1 1 1) Hash "2.0.0" hashes::hincrby, "Adds to a field.";
    "hincrbyfloat" 4 W|M|F (1 1 1) Hash "2.6.0" hashes::hincrbyfloat, "Adds to a field.";
    "hkeys" 2 R (1 1 1) Hash "2.0.0" hashes::hkeys, "Gets all fields.";
    "hlen" 2 R|F (1 1 1) Hash "2.0.0" hashes::hlen, "Counts fields.";
    "hmget" -3 R|F (1 1 1) Hash "2.0.0" hashes::hmget, "Gets several fields.";
    "hmset" -4 W|M|F (1 1 1) Hash "2.0.0" hashes::hmset, "Sets fields.";
    "hrandfield" -2 R (1 1 1) Hash "6.2.0" hashes::hrandfield, "Gets any fields.";
    "hscan" -3 R (1 1 1) Hash "2.8.0" hashes::hscan, "Lists fields step by step.";
    "hset" -4 W|M|F (1 1 1) Hash "2.0.0" hashes::hset, "Sets fields.";
    "hsetnx" 4 W|M|F (1 1 1) Hash "2.0.0" hashes::hsetnx, "Sets a new field.";
    "hstrlen" 3 R|F (1 1 1) Hash "3.2.0" hashes::hstrlen, "Gets the length of a field.";
    "hvals" 2 R (1 1 1) Hash "2.0.0" hashes::hvals, "Gets all values.";

    "blmove" 6 W|M|B (1 2 1) List "6.2.0" pops::blmove, "Moves an item, or waits for one.";
    "blmpop" -5 W|B|K (0 0 0) List "7.0.0" pops::blmpop, "Removes items, or waits for some.";
    "blpop" -3 W|B (1 -2 1) List "2.0.0" pops::blpop, "Removes the first item, or waits.";
    "brpop" -3 W|B (1 -2 1) List "2.0.0" pops::brpop, "Removes the last item, or waits.";
    "brpoplpush" 4 W|M|B (1 2 1) List "2.2.0" pops::brpoplpush, "Moves an item, or waits.";
    "lindex" 3 R (1 1 1) List "1.0.0" lists::lindex, "Gets an item.";
    "linsert" 5 W|M (1 1 1) List "2.2.0" lists::linsert, "Inserts next to an item.";
    "llen" 2 R|F (1 1 1) List "1.0.0" lists::llen, "Counts items.";
    "lmove" 5 W|M (1 2 1) List "6.2.0" pops::lmove, "Moves an item.";
    "lmpop" -4 W|K (0 0 0) List "7.0.0" pops::lmpop, "Removes items of the first list.";
    "lpop" -2 W|F (1 1 1) List "1.0.0" pops::lpop, "Removes the first items.";
    "lpos" -3 R (1 1 1) List "6.0.6" lists::lpos, "Finds an item.";
    "lpush" -3 W|M|F (1 1 1) List "1.0.0" lists::lpush, "Prepends items.";
    "lpushx" -3 W|M|F (1 1 1) List "2.2.0" lists::lpushx, "Prepends items to a list.";
    "lrange" 4 R (1 1 1) List "1.0.0" lists::lrange, "Gets several items.";
    "lrem" 4 W (1 1 1) List "1.0.0" lists::lrem, "Removes items by value.";
    "lset" 4 W|M (1 1 1) List "1.0.0" lists::lset, "Sets an item.";
    "ltrim" 4 W (1 1 1) List "1.0.0" lists::ltrim, "Keeps several items.";
    "rpop" -2 W|F (1 1 1) List "1.0.0" pops::rpop, "Removes the last items.";
    "rpoplpush" 3 W|M (1 2 1) List "1.2.0" pops::rpoplpush, "Moves an item.";
    "rpush" -3 W|M|F (1 1 1) List "1.0.0" lists::rpush, "Appends items.";
    "rpushx" -3 W|M|F (1 1 1) List "2.2.0" lists::rpushx, "Appends items to a list.";

    "sadd" -3 W|M|F (1 1 1) Set "1.0.0" sets::sadd, "Adds members.";
    "scard" 2 R|F (1 1 1) Set "1.0.0" sets::scard, "Counts members.";
    "sdiff" -2 R (1 -1 1) Set "1.0.0" set_algebra::sdiff, "Gets a difference.";
    "sdiffstore" -3 W|M (1 -1 1) Set "1.0.0" set_algebra::sdiffstore, "Keeps a difference.";
    "sinter" -2 R (1 -1 1) Set "1.0.0" set_algebra::sinter, "Gets an intersection.";
    "sintercard" -3 R|K (0 0 0) Set "7.0.0" set_algebra::sintercard, "Counts an intersection.";
    "sinterstore" -3 W|M (1 -1 1) Set "1.0.0" set_algebra::sinterstore, "Keeps an intersection.";
    "sismember" 3 R|F (1 1 1) Set "1.0.0" sets::sismember, "Tells whether this is a member.";
    "smembers" 2 R (1 1 1) Set "1.0.0" sets::smembers, "Gets all members.";
    "smismember" -3 R|F (1 1 1) Set "6.2.0" sets::smismember, "Tells which are members.";
    "smove" 4 W|F (1 2 1) Set "1.0.0" sets::smove, "Moves a member.";
    "spop" -2 W|F (1 1 1) Set "1.0.0" sets::spop, "Removes any members.";
    "srandmember" -2 R (1 1 1) Set "1.0.0" sets::srandmember, "Gets any members.";
    "srem" -3 W|F (1 1 1) Set "1.0.0" sets::srem, "Removes members.";
    "sscan" -3 R (1 1 1) Set "2.8.0" sets::sscan, "Lists members step by step.";
    "sunion" -2 R (1 -1 1) Set "1.0.0" set_algebra::sunion, "Gets a union.";
    "sunionstore" -3 W|M (1 -1 1) Set "1.0.0" set_algebra::sunionstore, "Keeps a union.";

    "bzpopmax" -3 W|B|F (1 -2 1) SortedSet "5.0.0" pops::bzpopmax, "Removes the highest, or waits.";
    "bzpopmin" -3 W|B|F (1 -2 1) SortedSet "5.0.0" pops::bzpopmin, "Removes the lowest, or waits.";
    "bzmpop" -5 W|B|K (0 0 0) SortedSet "7.0.0" pops::bzmpop, "Removes members, or waits for some.";
    "zadd" -4 W|M|F (1 1 1) SortedSet "1.2.0" sorted_sets::zadd, "Adds members with scores.";
    "zcard" 2 R|F (1 1 1) SortedSet "1.2.0" sorted_sets::zcard, "Counts members.";
    "zcount" 4 R|F (1 1 1) SortedSet "2.0.0" sorted_ranges::zcount, "Counts members by score.";
    "zdiff" -3 R|K (0 0 0) SortedSet "6.2.0" sorted_algebra::zdiff, "Gets a difference.";
    "zdiffstore" -4 W|M|K (1 1 1) SortedSet "6.2.0" sorted_algebra::zdiffstore, "Keeps a difference.";
    "zincrby" 4 W|M|F (1 1 1) SortedSet "1.2.0" sorted_sets::zincrby, "Adds to a score.";
    "zinter" -3 R|K (0 0 0) SortedSet "6.2.0" sorted_algebra::zinter, "Gets an intersection.";
    "zintercard" -3 R|K (0 0 0) SortedSet "7.0.0" sorted_algebra::zintercard, "Counts an intersection.";
    "zinterstore" -4 W|M|K (1 1 1) SortedSet "2.0.0" sorted_algebra::zinterstore, "Keeps an intersection.";
    "zlexcount" 4 R|F (1 1 1) SortedSet "2.8.9" sorted_ranges::zlexcount, "Counts members by name.";
    "zmpop" -4 W|K (0 0 0) SortedSet "7.0.0" pops::zmpop, "Removes members of the first sorted set.";
    "zmscore" -3 R|F (1 1 1) SortedSet "6.2.0" sorted_sets::zmscore, "Gets several scores.";
    "zpopmax" -2 W|F (1 1 1) SortedSet "5.0.0" pops::zpopmax, "Removes the highest members.";
    "zpopmin" -2 W|F (1 1 1) SortedSet "5.0.0" pops::zpopmin, "Removes the lowest members.";
    "zrandmember" -2 R (1 1 1) SortedSet "6.2.0" sorted_sets::zrandmember, "Gets any members.";
    "zrange" -4 R (1 1 1) SortedSet "1.2.0" sorted_ranges::zrange, "Gets members in a range.";
    "zrangebylex" -4 R (1 1 1) SortedSet "2.8.9" sorted_ranges::zrangebylex, "Gets members by name.";
    "zrangebyscore" -4 R (1 1 1) SortedSet "1.0.5" sorted_ranges::zrangebyscore, "Gets by score.";
    "zrangestore" -5 W|M (1 2 1) SortedSet "6.2.0" sorted_ranges::zrangestore, "Keeps a range.";
    "zrank" 3 R|F (1 1 1) SortedSet "2.0.0" sorted_sets::zrank, "Gets the place of a member.";
    "zrem" -3 W|F (1 1 1) SortedSet "1.2.0" sorted_sets::zrem, "Removes members.";
    "zremrangebylex" 4 W (1 1 1) SortedSet "2.8.9" sorted_ranges::zremrangebylex, "Removes by name.";
    "zremrangebyrank" 4 W (1 1 1) SortedSet "2.0.0" sorted_ranges::zremrangebyrank, "Removes by place.";
    "zremrangebyscore" 4 W (1 1 1) SortedSet "1.2.0" sorted_ranges::zremrangebyscore, "Removes by score.";
    "zrevrange" -4 R (1 1 1) SortedSet "1.2.0" sorted_ranges::zrevrange, "Gets a range backwards.";
    "zrevrangebylex" -4 R (1 1 1) SortedSet "2.8.9" sorted_ranges::zrevrangebylex, "Gets by name.";
    "zrevrangebyscore" -4 R (1 1 1) SortedSet "2.2.0" sorted_ranges::zrevrangebyscore, "Gets by score.";
    "zrevrank" 3 R|F (1 1 1) SortedSet "2.0.0" sorted_sets::zrevrank, "Gets the place from the end.";
    "zscan" -3 R (1 1 1) SortedSet "2.8.0" sorted_sets::zscan, "Lists members step by step.";
    "zscore" 3 R|F (1 1 1) SortedSet "1.2.0" sorted_sets::zscore, "Gets a score.";
    "zunion" -3 R|K (0 0 0) SortedSet "6.2.0" sorted_algebra::zunion, "Gets a union.";
    "zunionstore" -4 W|M|K (1 1 1) SortedSet "2.0.0" sorted_algebra::zunionstore, "Keeps a union.";
}

/// Longer than any name.
const NAME_MAX: usize = 24;
const SLOTS: usize = 1024;
const FREE: u16 = u16::MAX;

/// Where each name is, found by its hash: one comparison, as a rule.
static INDEX: [u16; SLOTS] = index();

const fn slot(hash: u32, byte: u8) -> u32 {
    (hash ^ (byte | 0x20) as u32).wrapping_mul(0x0100_0193)
}

const fn fold(hash: u32) -> usize {
    ((hash ^ (hash >> 15)) as usize) % SLOTS
}

const fn index() -> [u16; SLOTS] {
    let mut index = [FREE; SLOTS];
    let mut command = 0;
    while command < NAMES.len() {
        let name = NAMES[command].as_bytes();
        assert!(name.len() <= NAME_MAX, "NAME_MAX is too small");
        let mut hash = 0x811c_9dc5;
        let mut at = 0;
        while at < name.len() {
            hash = slot(hash, name[at]);
            at += 1;
        }
        let mut place = fold(hash);
        while index[place] != FREE {
            place = (place + 1) % SLOTS;
        }
        index[place] = command as u16;
        command += 1;
    }
    index
}

/// The command of this name, in upper or lower case.
pub(super) fn find(name: &[u8]) -> Option<&'static Spec> {
    if name.len() > NAME_MAX {
        return None;
    }
    let mut place = fold(name.iter().fold(0x811c_9dc5, |hash, byte| slot(hash, *byte)));
    loop {
        let spec = TABLE.get(usize::from(*INDEX.get(place)?))?;
        if spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(spec);
        }
        place = (place + 1) % SLOTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_and_no_other_is() {
        for spec in TABLE {
            assert_eq!(find(spec.name.as_bytes()).map(|found| found.name), Some(spec.name));
            let upper = spec.name.to_ascii_uppercase();
            assert_eq!(find(upper.as_bytes()).map(|found| found.name), Some(spec.name));
            assert!(spec.summary.ends_with('.') && spec.arity != 0, "{spec:?}");
        }
        for name in ["", "gett", "ge", "G\u{15}T", &"x".repeat(100)] {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
    }
}

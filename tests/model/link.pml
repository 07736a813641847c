/* A model of one direction of a link for one mailbox: core plans, sends and resends entries; the way loses, repeats and
 * reorders frames; the remote applies each number once and shows a message when all before it are there or gone.
 *
 * Follows: Poller::plan, make() and stand_in() in service/link_entries.cpp, Replica::apply, and insert_pending,
 * set_pending_gone and advance_visible in store/account_pending.cpp. The names are theirs. Bodies are entries of their own,
 * as chunks are. Not in the model: flags, epochs, the bounds of a link, time.
 *
 * Checked in every reachable state:
 *   - a UID is shown once, and above all that were shown before;
 *   - the remote shows no message that core never had;
 *   - where nothing more can happen, both show the same, and every number is acknowledged.
 */
#ifndef UIDS
#define UIDS 3
#endif
#ifndef LOSSES
#define LOSSES 2
#endif
#ifndef LATE  /* sendings of an entry that overtake an earlier one, and may say something else */
#define LATE 1
#endif
#ifndef REPEATS
#define REPEATS 1
#endif

/* Numbers: 2 for each message (entry, body), 1 for its expunge. Indexed by UID from 1; 0 is not used. */
#define ENTRY(u) (u)
#define BODY(u) (UIDS + (u))
#define EXPUNGE(u) (2 * UIDS + (u))
#define NUMBERS (3 * UIDS + 1)

/* What is pending for a UID. */
#define unknown 0
#define missing 1
#define ready 2
#define gone 3

/* Core. */
byte last;               /* highest UID given */
bool here[UIDS + 1];     /* the message is at core */
byte planned, chained;   /* looked at up to there; the last UID with an entry */
bool row[NUMBERS];       /* in the outbox */
bool told_gone[UIDS + 1];
byte row_prev[UIDS + 1]; /* prev_uid of the message's row */

/* The way: what is in flight of each number. A frame that is made again later may say something else. */
bool in_message[UIDS + 1], in_stand_in[UIDS + 1], in_body[UIDS + 1], in_expunge[UIDS + 1], in_void[UIDS + 1];
bool in_ack[NUMBERS];

/* Remote. */
bool applied[NUMBERS];
byte state[UIDS + 1];
bool has_prev[UIDS + 1];
byte prev[UIDS + 1];
bool object[UIDS + 1];   /* the body is in the store */
byte visible;            /* last UID that was shown or passed over */
bool there[UIDS + 1];    /* shown and not expunged */
bool was_shown[UIDS + 1];

byte losses, repeats, late;
byte i, u, next;

inline forget(x) { state[x] = unknown; has_prev[x] = false; prev[x] = 0 }

/* set_pending_gone for one UID that is not the first, and expunge_any. */
inline set_gone(x) {
    if
    :: x > visible -> state[x] = gone
    :: else -> there[x] = false
    fi
}
/* The same for 1 to x: one row says so, since nothing comes before it. */
inline all_gone_up_to(x) {
    i = 1;
    do
    :: i <= x && i <= visible -> there[i] = false; i++
    :: i <= x && i > visible -> forget(i); i++
    :: i > x -> break
    od;
    if
    :: x > visible -> state[x] = gone; has_prev[x] = true; prev[x] = 0
    :: else
    fi
}
inline insert_pending(x, p, as) {
    if
    :: x > visible && state[x] == unknown -> state[x] = as; has_prev[x] = true; prev[x] = p
    :: x > visible && state[x] != unknown && !has_prev[x] -> has_prev[x] = true; prev[x] = p
    :: else
    fi
}
inline settle() {
    i = 1;
    do
    :: i <= UIDS ->
        if
        :: state[i] == missing && object[i] -> state[i] = ready
        :: else
        fi;
        i++
    :: i > UIDS -> break
    od;
    do
    :: next = 0;
        i = UIDS;
        do
        :: i >= 1 ->
            if
            :: state[i] != unknown && (i <= visible || (has_prev[i] && prev[i] <= visible)) -> next = i
            :: else
            fi;
            i--
        :: i == 0 -> break
        od;
        if
        :: next == 0 -> break
        :: next != 0 && next <= visible -> forget(next)
        :: next > visible && state[next] == missing -> break
        :: next > visible && state[next] == gone -> visible = next; forget(next)
        :: next > visible && state[next] == ready ->
            assert(next <= last);
            assert(!was_shown[next]);
            visible = next;
            there[next] = true;
            was_shown[next] = true;
            forget(next)
        fi
    od;
    i = 0; next = 0
}

/* Arrives; with a repeat left it may stay in flight, to come again. */
inline arrive(frame) {
    if
    :: frame = false
    :: repeats < REPEATS -> repeats++
    fi
}

#define SOME(x) select_uid(x)
inline select_uid(x) { x = 1; do :: x < UIDS -> x++ :: break od }

active proctype everything() {
    do
    /* A mail comes to core. */
    :: atomic { last < UIDS -> last++; here[last] = true }
    /* A client at core expunges it. */
    :: atomic { SOME(u); if :: here[u] -> here[u] = false :: else fi; u = 0 }
    /* The poller: the next message, or an expunge of one that was planned. */
    :: atomic {
        planned < last -> planned++;
        if
        :: here[planned] ->
            row[ENTRY(planned)] = true; row[BODY(planned)] = true;
            row_prev[planned] = chained; chained = planned
        :: else
        fi
       }
    :: atomic {
        SOME(u);
        if
        :: u <= planned && !here[u] && !told_gone[u] -> told_gone[u] = true; row[EXPUNGE(u)] = true
        :: else
        fi;
        u = 0
       }
    /* The sender: entries as they are now. */
    :: atomic {
        SOME(u);
        if
        :: row[ENTRY(u)] && !in_ack[ENTRY(u)] && (!(in_message[u] || in_stand_in[u]) || late < LATE) ->
            if
            :: in_message[u] || in_stand_in[u] -> late++
            :: else
            fi;
            if
            :: here[u] -> in_message[u] = true
            :: else -> in_stand_in[u] = true
            fi
        :: row[BODY(u)] && !in_ack[BODY(u)] && !in_void[u] && !in_body[u] ->
            if
            :: here[u] -> in_body[u] = true
            :: else -> in_void[u] = true
            fi
        :: row[EXPUNGE(u)] && !in_ack[EXPUNGE(u)] && !in_expunge[u] -> in_expunge[u] = true
        :: else
        fi;
        u = 0
       }
    /* The way loses. */
    :: atomic {
        losses < LOSSES -> SOME(u);
        if
        :: in_message[u] -> in_message[u] = false; losses++
        :: in_stand_in[u] -> in_stand_in[u] = false; losses++
        :: in_body[u] -> in_body[u] = false; losses++
        :: in_expunge[u] -> in_expunge[u] = false; losses++
        :: in_void[u] -> in_void[u] = false; losses++
        :: in_ack[ENTRY(u)] -> in_ack[ENTRY(u)] = false; losses++
        :: in_ack[BODY(u)] -> in_ack[BODY(u)] = false; losses++
        :: in_ack[EXPUNGE(u)] -> in_ack[EXPUNGE(u)] = false; losses++
        :: else
        fi;
        u = 0
       }
    /* The remote. What it has applied it acknowledges again. */
    :: atomic {
        SOME(u);
        if
        :: in_message[u] -> arrive(in_message[u]);
            if :: !applied[ENTRY(u)] -> insert_pending(u, row_prev[u], missing); applied[ENTRY(u)] = true :: else fi;
            in_ack[ENTRY(u)] = true; settle()
        :: in_stand_in[u] -> arrive(in_stand_in[u]);
            if
            :: !applied[ENTRY(u)] ->
                if
                :: row_prev[u] == 0 -> all_gone_up_to(u)
                :: else -> set_gone(u); insert_pending(u, row_prev[u], gone)
                fi;
                applied[ENTRY(u)] = true
            :: else
            fi;
            in_ack[ENTRY(u)] = true; settle()
        :: in_body[u] -> arrive(in_body[u]);
            if :: !applied[BODY(u)] -> object[u] = true; applied[BODY(u)] = true :: else fi;
            in_ack[BODY(u)] = true; settle()
        :: in_void[u] -> arrive(in_void[u]); applied[BODY(u)] = true; in_ack[BODY(u)] = true
        :: in_expunge[u] -> arrive(in_expunge[u]);
            if
            :: !applied[EXPUNGE(u)] ->
                if
                :: u == 1 -> all_gone_up_to(1)
                :: else -> set_gone(u)
                fi;
                applied[EXPUNGE(u)] = true
            :: else
            fi;
            in_ack[EXPUNGE(u)] = true; settle()
        :: else
        fi;
        u = 0
       }
    /* Core hears an acknowledgement. */
    :: atomic {
        SOME(u);
        if
        :: in_ack[ENTRY(u)] -> in_ack[ENTRY(u)] = false; row[ENTRY(u)] = false
        :: in_ack[BODY(u)] -> in_ack[BODY(u)] = false; row[BODY(u)] = false
        :: in_ack[EXPUNGE(u)] -> in_ack[EXPUNGE(u)] = false; row[EXPUNGE(u)] = false
        :: else
        fi;
        u = 0
       }
    /* Quiet: all is planned and acknowledged, and nothing is under way. */
    :: atomic {
        planned == last ->
        next = 1; u = 1;
        do
        :: u <= UIDS ->
            if
            :: row[ENTRY(u)] || row[BODY(u)] || row[EXPUNGE(u)] || (u <= planned && !here[u] && !told_gone[u]) ||
               in_message[u] || in_stand_in[u] || in_body[u] || in_void[u] || in_expunge[u] -> next = 0
            :: else
            fi;
            u++
        :: u > UIDS -> break
        od;
        u = 1;
        do
        :: u <= UIDS && next == 1 -> assert(there[u] == here[u]); u++
        :: u > UIDS || next == 0 -> break
        od;
        u = 0; next = 0
       }
    od
}

/* A model of epochs: core and a remote, one mailbox, both directions of their link. Either may wake up with a backup.
 *
 * Follows: judge_section and begin_epoch in sync/link.cpp; take_epochs, begin_after_loss, begin_at_core and
 * begin_at_remote in service/epochs.cpp; begin_numbers, leap and forget_planned in store/epochs.cpp; Comparison and load_state
 * in store/stated.cpp; keep_unseen, seen_elsewhere, gone_at and moved_among in store/elsewhere.cpp; file_append and give_up
 * in store/outside_numbers.cpp; plan_returns_home and take_confirmation in service/home.cpp; advance_visible in
 * store/account_pending.cpp. The names are theirs.
 *
 * Checked in every reachable state:
 *   - no UID names a message that named another at that server, and none is given below one that was given;
 *   - a node begins an epoch only where something was lost, and at most MOST for each loss;
 *   - after at most ROUNDS times that all is sent again, all is acknowledged and nothing is awaited;
 *   - then both show the same, and what was left at either of them after a loss, and nobody expunged, is there;
 *   - what somebody has expunged, and one of them knew that after a loss, is not.
 *
 * Not in the model: bodies apart from their messages, flags, mailboxes, moves between them, stubs, void numbers, several
 * remotes, time. What is planned is planned when it is sent. A message that was renumbered is followed to where it is,
 * not from number to number. An epoch's random part is never the same twice, a later life has a later time, and a leap is
 * as long as it must be: LEAP for a loss, and that much longer each time.
 */
#ifndef MAILS     /* that come to core */
#define MAILS 2
#endif
#ifndef APPENDS   /* by clients of the remote */
#define APPENDS 0
#endif
#ifndef EXPUNGES  /* by clients of either */
#define EXPUNGES 1
#endif
#ifndef LOSSES    /* a backup is restored */
#define LOSSES 1
#endif
#ifndef LOSER     /* of core (1), of the remote (2), of either (3) */
#define LOSER 3
#endif
#ifndef RESTARTS  /* with nothing lost */
#define RESTARTS 0
#endif
#ifndef WITNESS   /* whoever has lost what it knew knows that at once */
#define WITNESS 1
#endif
#ifndef FLIGHT    /* frames under way in each direction, the later may overtake */
#define FLIGHT 1
#endif
#ifndef DROPS     /* frames that the way loses */
#define DROPS 0
#endif
#ifndef REPEATS   /* frames that come twice */
#define REPEATS 0
#endif
#ifndef PARTS     /* frames that have one entry only of several that are due */
#define PARTS 0
#endif
#ifndef MOST      /* epochs that a node begins for each loss */
#define MOST 2
#endif
#ifndef ROUNDS
#define ROUNDS 4
#endif

#ifndef NAMES     /* UIDs hold after a second loss as well */
#define NAMES 0
#endif
/* Rules that are left out, to see what they are for. */
#ifndef IGNORE_HEARD    /* the peer has not heard of our epoch yet */
#define IGNORE_HEARD 0
#endif
#ifndef IGNORE_UNKNOWN  /* it names an epoch of ours that we do not know */
#define IGNORE_UNKNOWN 0
#endif
#ifndef IGNORE_LIFE     /* what a later life shows */
#define IGNORE_LIFE 0
#endif
#ifndef IGNORE_ACKS     /* it acknowledges what we have not given */
#define IGNORE_ACKS 0
#endif
#ifndef NO_LEAP
#define NO_LEAP 0
#endif
#ifndef FORGET_ACKS     /* the second frame of several made at once has no acknowledgements */
#define FORGET_ACKS 0
#endif
#ifndef LET_GO          /* the remote does not keep what is elsewhere until it is seen there */
#define LET_GO 0
#endif
#ifndef TELL_LAST       /* core tells of an expunge under the last number only */
#define TELL_LAST 0
#endif
#ifndef STAY            /* an expunge from outside does not follow the message to its new number */
#define STAY 0
#endif
#ifndef UNMARK          /* core: what stands in a frame before an entry that is not fresh is not counted as applied */
#define UNMARK 0
#endif
/* Rules that there could be. */
#ifndef DROP_EXPUNGES   /* core takes no expunges along where it has lost what it knew */
#define DROP_EXPUNGES 0
#endif
#ifndef ECHO_LIFE       /* a section names the life that it has heard of: who does not know it cannot acknowledge its numbers */
#define ECHO_LIFE 0
#endif
#ifndef ANSWER          /* who is of an older epoch in a later life is told of the newer one */
#define ANSWER 0
#endif
#ifndef LATEST_LIFE     /* what was said in a life before the latest is not believed */
#define LATEST_LIFE 0
#endif

#define IDS (MAILS + APPENDS)
#define LEAP (IDS + APPENDS + 1)   /* more than is given without a loss */
#ifndef UIDS      /* numbers that there are */
#define UIDS (2 * IDS + 2 * APPENDS + 2 + LEAP * LOSSES * (LOSSES + 1))
#endif
#ifndef NUMBERS   /* that are given in one epoch, and one */
#define NUMBERS 12
#endif

#define core 0
#define remote 1

/* An epoch: its counter, and which of all it is. */
#define COUNTER(epoch) ((epoch) >> 4)
#define LINKED(node) (17 + (node))
#define PEER(node) (1 - (node))

/* What a UID is at a node: a message's id (0: none) and one of these. */
#define there 8
#define gone 16
#define moved 32      /* core: it has another number. remote: core has said that it is elsewhere */
#define pending 64    /* remote: not shown yet. Core: expunged by the remote's word, which knows it by that number */
#define untold 128    /* core: its expunge is to be planned. Remote, with pending: what is to come is gone; with there: it is
                         kept until it is seen elsewhere */
#define MESSAGE(entry) ((entry) & 7)
#define IS(entry, what) (((entry) & (what)) != 0)

/* Entries. A number's row has all but the message. */
#define a_message 1   /* uid, the one before it, message; 0: it has gone, this stands in */
#define an_expunge 2  /* uid, whether it is elsewhere */
#define a_return 3    /* uid */
#define a_confirm 4   /* uid, where it is now; 0: nowhere */
#define an_account 5
#define a_state 1
#define a_stated 3
#define an_append 4   /* uid, returned?, message; 0: it has gone */
#define ENTRY(kind, nr, other, message) ((kind) + ((nr) << 3) + ((other) << 8) + ((message) << 13))
#define KIND(entry) ((entry) & 7)
#define UID(entry) (((entry) >> 3) & 31)
#define OTHER(entry) (((entry) >> 8) & 31)
#define CONTENT(entry) ((entry) >> 13)

#define no_uid 31     /* the UID before is not known; or: nowhere */
#define asked 30      /* noted: nothing is known of the message, which is to come home */
#define NOTED(place) ((place) != 0 && (place) < asked)
#define not_told 15   /* awaited: the state, of which nothing is known */

/* What of a number that the remote has given itself is known there. */
#define unconfirmed 32
#define expunged_here 64
#define given_up 128  /* with the number that it has now */

typedef Numbered {
    byte own, peer;
    bool heard, lost;
    byte peer_life, next, given_life, given_first;
    short applied;
    short row[NUMBERS];
}
typedef Core {
    byte at[UIDS];
    byte noted[UIDS];   /* outside_numbers: what became of a number that the remote gave */
    byte expunged_unknown[UIDS];   /* which message, that was not known under that number */
    byte uidnext, planned, chained, awaited;
    bool known;         /* something is planned */
}
typedef Remote {
    byte at[UIDS];
    byte before[UIDS];  /* of what is pending */
    byte provisional[UIDS];
    byte visible;
}
typedef Frame {
    bool sent;
    byte epoch, echo, life, first, echo_life;
    bool lost;
    short acks;
    short entry[NUMBERS];
}
typedef Stated {
    byte at[UIDS];
    byte floor;
}

Numbered link[2], link_backup[2];
Core c, c_backup;
Remote r, r_backup;
Frame way[2 * FLIGHT];     /* to core, then to the remote */
Stated told[FLIGHT];        /* with those to core */

byte life[2];
byte epochs;               /* begun */
bool dirty[2];             /* there is something to send */
bool has_backup[2];
byte mails, appends, expunges, losses, restarts, drops, repeats, parts, rounds;

/* What must hold. */
byte named[2 * UIDS];      /* what a UID has named last */
byte highest[2];           /* UID that was given */
bool unaware[2];           /* has lost what it knew, and does not know that */
bool silent[2];            /* has lost what it knew, and the other has not heard of it since */
byte expunged, forgotten;  /* messages; by a client, and by all */
byte dead;                 /* of those expunged: somebody knows that */

hidden byte i, u, v, k, leaving, count;
hidden byte above, entry_id, mail, place;
hidden byte judged, begins, restored, adopted, unheard, has_entries, has_acks, leaps, was_begun, was_heard, before, applies, returned, settled;
hidden byte one_meaning, ascending, few_epochs, few_rounds, nothing_awaited, agreed, is_there_once, stays_gone;   /* asserted */
hidden short forgets, fresh, e, kept[NUMBERS];
hidden int listed, renumbered;

#define BIT(x) (1 << (x))
#define BEGUN(node) (link[node].own != LINKED(node))

#define LENIENT (losses > 1 && !NAMES)

/* ---- what must hold */

inline use_uid(node, nr, message) {
    assert(nr < UIDS);
    one_meaning = named[(node) * UIDS + nr] == 0 || named[(node) * UIDS + nr] == message || unaware[node] || LENIENT;
    ascending = named[(node) * UIDS + nr] == message || nr > highest[node] || unaware[node] || LENIENT;
    named[(node) * UIDS + nr] = message;
    printf("    %d shows %d as %d\n", node, message, nr);
    assert(one_meaning);
    assert(ascending);
    if
    :: nr > highest[node] -> highest[node] = nr
    :: else
    fi
}

/* ---- numbers */

inline give(node, what) {
    assert(link[node].next < NUMBERS);
    if
    :: link[node].given_life != life[node] ->
        link[node].given_life = life[node];
        link[node].given_first = link[node].next
    :: else
    fi;
    link[node].row[link[node].next] = what;
    link[node].next++;
    dirty[node] = true
}

/* What is kept is put back behind what is told anew. */
inline begin_numbers(node, is_kept) {
    leaving = 0;
    for (k : 1 .. NUMBERS - 1) {
        e = link[node].row[k];
        if
        :: e != 0 && (is_kept) -> kept[leaving] = e; leaving++
        :: else
        fi;
        link[node].row[k] = 0
    }
    link[node].next = 1;
    link[node].given_life = life[node];
    link[node].given_first = 1
}
inline put_back(node) {
    for (k : 0 .. NUMBERS - 1) {
        if
        :: k < leaving -> give(node, kept[k])
        :: else
        fi
    }
    leaving = 0
}

/* ---- core */

inline follow(nr) {   /* place: where the message of the number is, or 0 */
    place = nr;
    if
    :: place >= asked -> place = 0
    :: place < asked && place != 0 && IS(c.at[place], moved) ->
        entry_id = MESSAGE(c.at[place]);
        place = 0;
        for (v : 1 .. UIDS - 1) {
            if
            :: c.at[v] == (there | entry_id) -> place = v
            :: else
            fi
        }
    :: else ->
        if
        :: place != 0 && !IS(c.at[place], there) -> place = 0
        :: else
        fi
    fi
}
inline renumber(nr) {
    use_uid(core, c.uidnext, MESSAGE(c.at[nr]));
    c.at[c.uidnext] = there | MESSAGE(c.at[nr]);
    c.at[nr] = moved | untold | MESSAGE(c.at[nr]);
    c.uidnext++
}
inline give_up(nr) {
    if
    :: nr >= c.uidnext -> c.uidnext = nr + 1
    :: nr < c.uidnext && IS(c.at[nr], there) -> renumber(nr)
    :: else
    fi
}

/* Of the number the remote was told, or it has filed a message that is there. */
inline is_told(nr) {
    applies = nr <= count;
    for (v : 1 .. UIDS - 1) {
        applies = applies || c.noted[v] == nr ||
            (NOTED(c.noted[v]) && IS(c.at[c.noted[v]], moved) && MESSAGE(c.at[c.noted[v]]) == MESSAGE(c.at[nr]))
    }
}

inline plan() {
    if
    :: c.awaited == 0 ->
        count = c.planned;
        for (u : 1 .. UIDS - 1) {
            if
            :: u > count && IS(c.at[u], there) ->
                give(core, ENTRY(a_message, u, c.chained, 0));
                c.chained = u;
                c.planned = u;
                c.known = true
            :: else
            fi
        }
        for (u : 1 .. UIDS - 1) {
            if
            :: IS(c.at[u], untold) ->
                is_told(u);
                if
                :: applies && !IS(c.at[u], pending) -> give(core, ENTRY(an_expunge, u, 0, 0))
                :: else
                fi;
                entry_id = MESSAGE(c.at[u]);
                for (i : 1 .. UIDS - 1) {
                    if
                    :: !IS(c.at[u], gone) || TELL_LAST -> skip
                    :: else ->
                        if
                        :: i != u && IS(c.at[i], moved) && MESSAGE(c.at[i]) == entry_id ->
                            is_told(i);
                            if
                            :: applies -> give(core, ENTRY(an_expunge, i, 0, 0))
                            :: else
                            fi
                        :: else
                        fi;
                        if
                        :: NOTED(c.noted[i]) && (c.noted[i] != i || IS(c.at[i], moved)) && IS(c.at[c.noted[i]], gone | moved) &&
                            MESSAGE(c.at[c.noted[i]]) == entry_id -> give(core, ENTRY(a_confirm, i, 0, 0))
                        :: else
                        fi
                    fi
                }
                c.at[u] = c.at[u] & ~(untold | pending)
            :: else
            fi
        }
    :: else
    fi
}

inline begin_at_core(far) {
    if
    :: far && !NO_LEAP -> c.uidnext = c.uidnext + LEAP * losses
    :: else
    fi;
    begin_numbers(core, KIND(e) == a_confirm || (KIND(e) == an_expunge && !(DROP_EXPUNGES && restored)));
    give(core, ENTRY(an_account, 0, 0, 0));
    put_back(core);
    c.planned = 0;
    c.chained = 0;
    c.known = false;
    for (u : 1 .. UIDS - 1) {
        c.at[u] = c.at[u] & ~(untold | pending)
    }
    c.awaited = not_told
}

inline hide(nr) {
    c.at[nr] = gone | untold | pending | MESSAGE(c.at[nr])
}

inline hide_elsewhere(nr, called) {
    hide(nr);
    if
    :: nr != called -> c.at[nr] = c.at[nr] & ~pending
    :: else
    fi
}

/* place: the message under a number of which the remote has not heard, where there is one. */
inline find_unheard(state, message) {
    count = 0;
    for (v : 1 .. UIDS - 1) {
        if
        :: c.at[v] == (there | message) -> place = v; count++
        :: else
        fi
    }
    if
    :: count == 1 && (place > state.floor || MESSAGE(state.at[place]) != message) -> skip
    :: else -> place = 0
    fi
}

/* The remote had that message under this number, and not core. */
inline compare_gone(state, nr, message) {
    if
    :: c.noted[nr] != 0 -> follow(c.noted[nr])
    :: else -> follow(nr)
    fi;
    if
    :: place != 0 && MESSAGE(c.at[place]) != message -> c.noted[nr] = asked
    :: else ->
        if
        :: IS(state.at[nr], moved) || STAY -> skip
        :: else ->
            if
            :: place == 0 && c.noted[nr] == 0 && !(IS(c.at[nr], gone | moved) && MESSAGE(c.at[nr]) == message) ->
                c.expunged_unknown[nr] = message;
                find_unheard(state, message)
            :: else
            fi;
            if
            :: place != 0 -> hide_elsewhere(place, nr)
            :: else
            fi
        fi
    fi
}

/* All that the remote has told is compared with what is here. */
inline compare_state(state) {
    if
    :: c.uidnext <= state.floor -> c.uidnext = state.floor + 1
    :: else
    fi;
    listed = 0;
    renumbered = 0;
    for (u : 1 .. UIDS - 1) {
        if
        :: IS(state.at[u], there) ->
            listed = listed | BIT(u);
            i = MESSAGE(state.at[u]);
            if
            :: c.at[u] == (there | i) -> skip
            :: else ->
                if
                :: c.noted[u] != 0 -> follow(c.noted[u])
                :: else -> follow(u)
                fi;
                if
                :: place != 0 && place != u && c.at[place] == (there | i) -> give(core, ENTRY(an_expunge, u, 0, 0))
                :: else ->
                    if
                    :: IS(c.at[u], there) -> renumbered = renumbered | BIT(u)
                    :: else
                    fi;
                    if
                    :: IS(c.at[u], gone | moved) && MESSAGE(c.at[u]) == i -> give(core, ENTRY(an_expunge, u, 0, 0))
                    :: else ->
                        if
                        :: place == 0 && NOTED(c.noted[u]) && IS(c.at[c.noted[u]], gone | moved) && MESSAGE(c.at[c.noted[u]]) == i ->
                            give(core, ENTRY(a_confirm, u, 0, 0))
                        :: else ->
                            find_unheard(state, i);
                            if
                            :: place != 0 && !STAY -> c.noted[u] = place; give(core, ENTRY(an_expunge, u, 0, 0))
                            :: else -> c.noted[u] = asked; give(core, ENTRY(a_return, u, 0, 0))
                            fi
                        fi
                    fi
                fi
            fi
        :: IS(state.at[u], gone) ->
            listed = listed | BIT(u);
            if
            :: IS(c.at[u], there) && MESSAGE(c.at[u]) == MESSAGE(state.at[u]) -> hide(u)
            :: else ->
                if
                :: IS(c.at[u], there) -> renumbered = renumbered | BIT(u)
                :: else
                fi;
                compare_gone(state, u, MESSAGE(state.at[u]))
            fi
        :: else
        fi
    }
    for (u : 1 .. UIDS - 1) {
        if
        :: IS(c.at[u], there) && ((renumbered & BIT(u)) != 0 || ((listed & BIT(u)) == 0 && u <= state.floor)) -> renumber(u)
        :: else
        fi
    }
    if
    :: c.awaited == 0 && c.planned > state.floor -> skip
    :: else ->
        c.planned = state.floor;
        c.chained = state.floor;
        c.known = true
    fi
}

inline file_append(nr, message, is_returned) {
    before = c.noted[nr] != 0;
    if
    :: before -> follow(c.noted[nr])
    :: else
    fi;
    if
    :: before && place == 0 && message != 0 && (is_returned || c.noted[nr] == asked) -> c.noted[nr] = 0; before = false
    :: else
    fi;
    if
    :: before -> skip
    :: !before && message == 0 -> give_up(nr); c.noted[nr] = no_uid; place = 0
    :: else ->
        place = 0;
        if
        :: is_returned ->
            for (v : 1 .. UIDS - 1) {
                if
                :: c.at[v] == (there | message) && place == 0 -> place = v
                :: else
                fi
            }
        :: else
        fi;
        if
        :: place != 0 -> give_up(nr); follow(place)
        :: else ->
            if
            :: nr >= c.uidnext -> c.uidnext = nr
            :: else -> give_up(nr)
            fi;
            place = c.uidnext;
            use_uid(core, place, message);
            c.at[place] = there | message;
            c.uidnext++
        fi;
        c.noted[nr] = place;
        if
        :: is_returned && IS(c.at[place], there) && c.expunged_unknown[nr] == message -> hide_elsewhere(place, 0)
        :: else
        fi
    fi;
    give(core, ENTRY(a_confirm, nr, place, 0))
}

inline apply_at_core(frame, state) {
    forgets = link[core].applied;
    fresh = 0;
    for (k : 1 .. NUMBERS - 1) {
        e = frame.entry[k];
        if
        :: e != 0 && (link[core].applied & BIT(k)) == 0 ->
            applies = true;
            if
            :: KIND(e) == a_state -> compare_state(state)
            :: KIND(e) == a_stated ->
                if
                :: c.awaited == not_told -> c.awaited = k
                :: else
                fi
            :: KIND(e) == an_append ->
                i = UID(e);
                mail = CONTENT(e);
                returned = OTHER(e) != 0;
                file_append(i, mail, returned)
            :: KIND(e) == an_expunge ->
                u = UID(e);
                if
                :: u > c.planned && c.noted[u] == 0 -> applies = false
                :: else ->
                    if
                    :: c.noted[u] != 0 -> follow(c.noted[u])
                    :: c.noted[u] == 0 && STAY -> place = u
                    :: else -> follow(u)
                    fi;
                    if
                    :: place != 0 && IS(c.at[place], there) -> hide_elsewhere(place, u)
                    :: else
                    fi
                fi
            :: else -> skip
            fi;
            printf("    applies %d: %d\n", k, applies);
            if
            :: applies -> link[core].applied = link[core].applied | BIT(k); fresh = fresh | BIT(k)
            :: else -> fresh = 0
            fi
        :: e != 0 && (link[core].applied & BIT(k)) != 0 -> fresh = 0
        :: else
        fi
    }
    /* settle_state */
    if
    :: c.awaited != 0 && c.awaited != not_told && (link[core].applied & (BIT(c.awaited + 1) - 2)) == BIT(c.awaited + 1) - 2 ->
        c.awaited = 0;
        dirty[core] = true
    :: else
    fi
    if
    :: UNMARK -> link[core].applied = forgets | fresh
    :: else
    fi
}

/* ---- the remote */

inline expunge_any(nr) {
    if
    :: IS(r.at[nr], there) -> r.at[nr] = gone | MESSAGE(r.at[nr])
    :: else
    fi
}

/* What core has elsewhere goes when it is seen there: under a number that core has confirmed, and not kept itself. */
inline leave(nr) {
    above = 0;
    for (place : 1 .. UIDS - 1) {
        if
        :: place != nr && r.at[place] == (there | MESSAGE(r.at[nr])) && r.provisional[place] == 0 -> above = 1
        :: else
        fi
    }
    if
    :: !IS(r.at[nr], there) -> skip
    :: IS(r.at[nr], there) && (above == 1 || LET_GO) -> r.at[nr] = moved | MESSAGE(r.at[nr])
    :: else -> r.at[nr] = r.at[nr] | untold
    fi
}

/* Shows what can be shown, and lets go what was given up, or is seen elsewhere. */
inline show_arrived() {
    settled = false;
    do
    :: settled -> break
    :: else ->
        place = 0;
        for (v : 1 .. UIDS - 1) {
            if
            :: place == 0 && IS(r.at[v], pending) && (v <= r.visible || (r.before[v] != no_uid && r.before[v] <= r.visible)) -> place = v
            :: else
            fi
        }
        if
        :: place == 0 -> settled = true
        :: else ->
            r.before[place] = 0;
            if
            :: place <= r.visible -> r.at[place] = 0
            :: place > r.visible && IS(r.at[place], untold) -> r.at[place] = 0; r.visible = place
            :: else ->
                r.at[place] = there | MESSAGE(r.at[place]);
                use_uid(remote, place, MESSAGE(r.at[place]));
                r.visible = place
            fi
        fi
    od;
    for (v : 1 .. UIDS - 1) {
        if
        :: IS(r.provisional[v], given_up) && IS(r.at[v], there) ->
            place = r.provisional[v] & 31;
            if
            :: place <= r.visible || r.at[place] == (there | MESSAGE(r.at[v])) || (IS(r.at[place], pending) && IS(r.at[place], untold)) -> leave(v)
            :: else
            fi
        :: else
        fi;
        if
        :: IS(r.at[v], there) && IS(r.at[v], untold) -> leave(v)
        :: else
        fi
    }
}

inline show_what_came() {
    for (v : 1 .. UIDS - 1) {
        if
        :: IS(r.at[v], pending) && IS(r.at[v], untold) -> r.at[v] = 0; r.before[v] = 0
        :: IS(r.at[v], pending) && !IS(r.at[v], untold) -> r.before[v] = 0
        :: else
        fi
    }
    show_arrived();
    for (v : 1 .. UIDS - 1) {
        if
        :: IS(r.at[v], there) -> r.at[v] = r.at[v] & ~untold
        :: else
        fi;
        /* expunge_successors */
        if
        :: IS(r.provisional[v], given_up) && IS(r.provisional[v], expunged_here) && !STAY ->
            place = r.provisional[v] & 31;
            if
            :: IS(r.at[place], there) && MESSAGE(r.at[place]) == MESSAGE(r.at[v]) -> r.at[place] = gone | MESSAGE(r.at[place])
            :: else
            fi
        :: else
        fi
    }
}

inline begin_at_remote(far) {
    if
    :: far && !NO_LEAP -> r.visible = r.visible + 2 * LEAP * losses
    :: else
    fi;
    begin_numbers(remote, KIND(e) == an_append || KIND(e) == an_expunge);
    give(remote, ENTRY(a_state, 0, 0, 0));
    give(remote, ENTRY(a_stated, 0, 0, 0));
    listed = 0;
    for (k : 0 .. NUMBERS - 1) {
        if
        :: k < leaving && KIND(kept[k]) == an_append -> listed = listed | BIT(UID(kept[k]))
        :: else
        fi
    }
    /* forget_unsettled */
    renumbered = 0;
    for (v : 1 .. UIDS - 1) {
        if
        :: IS(r.provisional[v], unconfirmed) && (listed & BIT(v)) == 0 ->
            if
            :: IS(r.provisional[v], expunged_here) -> renumbered = renumbered | BIT(v)
            :: else
            fi;
            r.provisional[v] = 0
        :: IS(r.provisional[v], given_up) && IS(r.at[v], there) -> r.provisional[v] = 0
        :: else
        fi
    }
    put_back(remote);
    for (v : 1 .. UIDS - 1) {
        if
        :: (renumbered & BIT(v)) != 0 -> give(remote, ENTRY(an_expunge, v, 0, 0))
        :: else
        fi
    }
}

inline insert_pending(nr, as, prev) {
    if
    :: nr > r.visible && !IS(r.at[nr], pending) -> r.at[nr] = pending | as; r.before[nr] = prev
    :: nr > r.visible && IS(r.at[nr], pending) && r.before[nr] == no_uid -> r.before[nr] = prev
    :: else
    fi
}

inline take_confirmation(nr, now_at) {
    if
    :: IS(r.provisional[nr], unconfirmed) ->
        before = IS(r.provisional[nr], expunged_here);
        r.provisional[nr] = 0;
        if
        :: now_at == 0 -> expunge_any(nr)
        :: now_at != 0 && now_at != nr && before -> r.provisional[nr] = given_up | expunged_here | now_at
        :: now_at != 0 && now_at != nr && !before -> r.provisional[nr] = given_up | now_at
        :: else
        fi;
        if
        :: before && now_at != 0 -> give(remote, ENTRY(an_expunge, nr, 0, 0))
        :: else
        fi
    :: else ->
        if
        :: now_at == 0 -> expunge_any(nr)
        :: else
        fi
    fi
}

inline apply_expunge(nr, prev, from_first, is_elsewhere) {
    listed = 0;
    for (v : 1 .. UIDS - 1) {
        if
        :: (v == nr || (from_first && v < nr)) && IS(r.provisional[v], unconfirmed) -> listed = listed | BIT(v)
        :: else
        fi
    }
    if
    :: listed != 0 && (from_first || nr == 1) -> applies = false
    :: else ->
        for (v : 1 .. UIDS - 1) {
            if
            :: (v == nr || (from_first && v < nr)) && (listed & BIT(v)) == 0 ->
                if
                :: v > r.visible ->
                    if
                    :: (from_first || nr == 1) && v < nr -> r.at[v] = 0; r.before[v] = 0
                    :: (from_first || nr == 1) && v == nr -> r.at[v] = pending | untold; r.before[v] = 0
                    :: else ->
                        if
                        :: !IS(r.at[v], pending) -> r.before[v] = no_uid
                        :: else
                        fi;
                        r.at[v] = pending | untold
                    fi
                :: else ->
                    if
                    :: !IS(r.provisional[v], given_up) ->
                        if
                        :: is_elsewhere -> leave(v)
                        :: else -> expunge_any(v)
                        fi
                    :: else
                    fi
                fi
            :: else
            fi
        }
        if
        :: prev != 0 -> insert_pending(nr, untold, prev)
        :: else
        fi;
        applies = listed == 0
    fi
}

inline apply_at_remote(frame) {
    for (k : 1 .. NUMBERS - 1) {
        e = frame.entry[k];
        if
        :: e != 0 && (link[remote].applied & BIT(k)) == 0 ->
            applies = true;
            i = UID(e);
            if
            :: KIND(e) == a_message && CONTENT(e) != 0 ->
                if
                :: i <= r.visible -> applies = !IS(r.provisional[i], unconfirmed)
                :: else -> insert_pending(i, CONTENT(e), OTHER(e))
                fi
            :: KIND(e) == a_message && CONTENT(e) == 0 -> apply_expunge(i, OTHER(e), OTHER(e) == 0, false)
            :: KIND(e) == an_expunge -> apply_expunge(i, 0, false, OTHER(e) != 0)
            :: KIND(e) == a_confirm -> take_confirmation(i, OTHER(e))
            :: KIND(e) == a_return ->
                if
                :: IS(r.at[i], there) -> r.provisional[i] = unconfirmed; give(remote, ENTRY(an_append, i, 1, 0))
                :: else -> take_confirmation(i, 0)
                fi
            :: else -> skip
            fi;
            printf("    applies %d: %d\n", k, applies);
            if
            :: applies -> link[remote].applied = link[remote].applied | BIT(k)
            :: else
            fi
        :: else
        fi
    }
    show_arrived()
}

/* ---- epochs */

inline new_epoch(node, counter) {
    epochs++;
    assert(epochs < 16);
    printf("    %d begins an epoch\n", node);
    link[node].own = (((counter) + 1) << 4) | epochs;
    few_epochs = COUNTER(link[node].own) <= 1 + MOST * losses;
    assert(few_epochs);
    dirty[node] = true
}

inline judge_section(node, frame) {
    judged = false;
    begins = false;
    restored = false;
    adopted = false;
    was_begun = BEGUN(node);
    was_heard = link[node].heard;
    unheard = was_begun && !was_heard && !(node == core && c.known) && !IGNORE_HEARD;
    above = COUNTER(link[node].own);
    if
    :: frame.echo == link[node].own -> link[node].heard = true
    :: frame.echo != link[node].own && COUNTER(frame.echo) >= COUNTER(link[node].own) && !IGNORE_UNKNOWN ->
        above = COUNTER(frame.echo);
        restored = true;
        begins = true
    :: else
    fi;
    if
    :: COUNTER(frame.epoch) > COUNTER(link[node].peer) ->
        adopted = true;
        link[node].peer = frame.epoch;
        link[node].peer_life = frame.life;
        restored = restored || frame.lost;
        begins = begins || !unheard
    :: COUNTER(frame.epoch) <= COUNTER(link[node].peer) && frame.epoch != link[node].peer ->
        judged = !begins;
        dirty[node] = dirty[node] || (ANSWER && frame.life > link[node].peer_life)
    :: frame.epoch == link[node].peer && frame.life > link[node].peer_life && !IGNORE_LIFE ->
        forgets = 0;
        if
        :: frame.echo == link[node].own ->
            for (v : 1 .. NUMBERS - 1) {
                if
                :: v < link[node].next && link[node].row[v] == 0 && (frame.acks & BIT(v)) == 0 -> forgets = forgets | BIT(v)
                :: else
                fi
            }
        :: else
        fi;
        if
        :: forgets == 0 && link[node].applied < BIT(frame.first) -> link[node].peer_life = frame.life
        :: else ->
            link[node].lost = true;
            judged = unheard;
            begins = begins || !unheard
        fi
    :: else
    fi;
    has_acks = false;
    has_entries = false;
    if
    :: judged -> skip
    :: else ->
        if
        :: frame.echo == link[node].own && frame.acks >= BIT(link[node].next) && !begins && !IGNORE_ACKS -> restored = true; begins = true
        :: else
        fi;
        if
        :: ECHO_LIFE && frame.echo == link[node].own && !begins && frame.echo_life < life[node] && link[node].given_life == life[node] && frame.acks >= BIT(link[node].given_first) ->
            restored = true;
            begins = true
        :: else
        fi;
        if
        :: adopted -> link[node].lost = false
        :: else
        fi;
        if
        :: begins -> new_epoch(node, above); link[node].heard = false
        :: else
        fi;
        has_acks = frame.echo == link[node].own;
        has_entries = frame.epoch == link[node].peer && !link[node].lost;
        if
        :: LATEST_LIFE && frame.epoch == link[node].peer && frame.life < link[node].peer_life -> has_acks = false; has_entries = false
        :: else
        fi
    fi
}

inline take_epochs(node, frame) {
    judge_section(node, frame);
    if
    :: adopted || begins ->
        link[node].applied = 0;
        if
        :: node == remote -> show_what_came()
        :: else
        fi
    :: else
    fi;
    if
    :: adopted && node == core -> c.awaited = not_told
    :: else
    fi;
    leaps = restored && (was_heard || !was_begun);
    if
    :: begins && node == core -> begin_at_core(leaps)
    :: begins && node == remote -> begin_at_remote(leaps)
    :: else
    fi;
    if
    :: begins -> unaware[node] = unaware[node] && !restored
    :: else
    fi;
    if
    :: node == remote && adopted && !begins ->
        give(remote, ENTRY(a_state, 0, 0, 0));
        give(remote, ENTRY(a_stated, 0, 0, 0))
    :: else
    fi;
    if
    :: has_acks ->
        for (v : 1 .. NUMBERS - 1) {
            if
            :: (frame.acks & BIT(v)) != 0 -> link[node].row[v] = 0
            :: else
            fi
        }
    :: else
    fi
}

inline begin_after_loss(node) {
    restored = true;
    new_epoch(node, COUNTER(link[node].own));
    link[node].heard = false;
    link[node].lost = false;
    link[node].applied = 0;
    if
    :: node == remote -> show_what_came(); begin_at_remote(true)
    :: else -> begin_at_core(true)
    fi
}

/* ---- the way */

/* Entries `first` to `last`, as they are now. */
inline send(node, slot, from, to) {
    way[slot].sent = true;
    way[slot].epoch = link[node].own;
    way[slot].echo = link[node].peer;
    way[slot].life = life[node];
    way[slot].echo_life = link[node].peer_life;
    way[slot].first = link[node].next;
    if
    :: link[node].given_life == life[node] -> way[slot].first = link[node].given_first
    :: else
    fi;
    way[slot].lost = link[node].lost;
    way[slot].acks = link[node].applied;
    printf("%d sends: epoch %d, knows %d, life %d from %d, lost %d, acks %x\n", node, way[slot].epoch, way[slot].echo, way[slot].life, way[slot].first, way[slot].lost, way[slot].acks);
    for (k : 1 .. NUMBERS - 1) {
        e = 0;
        if
        :: k >= (from) && k <= (to) -> e = link[node].row[k]
        :: else
        fi;
        u = UID(e);
        if
        :: e != 0 && node == core && KIND(e) == a_message && IS(c.at[u], there) -> e = e | (MESSAGE(c.at[u]) << 13)
        :: e != 0 && node == core && KIND(e) == an_expunge ->
            if
            :: c.noted[u] != 0 -> follow(c.noted[u])
            :: else -> follow(u)
            fi;
            if
            :: (place != 0 && place != u) || c.noted[u] == asked -> e = e | (1 << 8)
            :: else
            fi
        :: e != 0 && node == remote && KIND(e) == an_append && IS(r.provisional[u], unconfirmed) && !IS(r.provisional[u], expunged_here) ->
            e = e | (MESSAGE(r.at[u]) << 13)
        :: e != 0 && node == remote && KIND(e) == an_append && !IS(r.provisional[u], unconfirmed) -> e = ENTRY(an_account, 0, 0, 0)
        :: else
        fi;
        way[slot].entry[k] = e;
        if
        :: e != 0 -> printf("    %d: kind %d, uid %d, %d, message %d\n", k, KIND(e), UID(e), OTHER(e), CONTENT(e))
        :: else
        fi;
        if
        :: e != 0 && node == remote && KIND(e) == a_state ->
            told[slot].floor = r.visible;
            for (v : 1 .. UIDS - 1) {
                told[slot].at[v] = 0;
                if
                :: IS(r.provisional[v], unconfirmed) || IS(r.at[v], pending) -> skip
                :: else ->
                    if
                    :: IS(r.at[v], there | gone) -> told[slot].at[v] = r.at[v] & ~untold
                    :: IS(r.at[v], moved) ->
                        for (i : 1 .. UIDS - 1) {
                            if
                            :: (r.at[i] & ~untold) == (there | MESSAGE(r.at[v])) && !IS(r.provisional[i], unconfirmed) ->
                                told[slot].at[v] = gone | moved | MESSAGE(r.at[v])
                            :: else
                            fi
                        }
                    :: else
                    fi
                fi
            }
        :: else
        fi
    }
}

inline clear(slot) {
    way[slot].sent = false;
    way[slot].epoch = 0;
    way[slot].echo = 0;
    way[slot].life = 0;
    way[slot].first = 0;
    way[slot].echo_life = 0;
    way[slot].lost = false;
    way[slot].acks = 0;
    for (k : 1 .. NUMBERS - 1) {
        way[slot].entry[k] = 0
    }
    if
    :: slot < FLIGHT ->
        told[slot].floor = 0;
        for (v : 1 .. UIDS - 1) {
            told[slot].at[v] = 0
        }
    :: else
    fi
}

inline receive(node, slot) {
    printf("%d receives epoch %d, knows %d, life %d\n", node, way[slot].epoch, way[slot].echo, way[slot].life);
    silent[PEER(node)] = silent[PEER(node)] && way[slot].life != life[PEER(node)];
    take_epochs(node, way[slot]);
    if
    :: has_entries ->
        count = 0;
        for (v : 1 .. NUMBERS - 1) {
            if
            :: way[slot].entry[v] != 0 -> count = 1
            :: else
            fi
        }
        dirty[node] = dirty[node] || count == 1;
        if
        :: node == core -> apply_at_core(way[slot], told[slot])
        :: else -> apply_at_remote(way[slot])
        fi
    :: else
    fi
}

/* ---- backups */

inline copy_link(to, from) {
    to.own = from.own; to.peer = from.peer; to.heard = from.heard; to.lost = from.lost;
    to.peer_life = from.peer_life; to.next = from.next; to.given_life = from.given_life; to.given_first = from.given_first;
    to.applied = from.applied;
    for (k : 0 .. NUMBERS - 1) {
        to.row[k] = from.row[k]
    }
}
inline copy_core(to, from) {
    to.uidnext = from.uidnext; to.planned = from.planned; to.chained = from.chained; to.awaited = from.awaited; to.known = from.known;
    for (v : 0 .. UIDS - 1) {
        to.at[v] = from.at[v];
        to.noted[v] = from.noted[v];
        to.expunged_unknown[v] = from.expunged_unknown[v]
    }
}
inline copy_remote(to, from) {
    to.visible = from.visible;
    for (v : 0 .. UIDS - 1) {
        to.at[v] = from.at[v];
        to.before[v] = from.before[v];
        to.provisional[v] = from.provisional[v]
    }
}
inline back_up(node) {
    printf("%d is backed up\n", node);
    has_backup[node] = true;
    copy_link(link_backup[node], link[node]);
    if
    :: node == core -> copy_core(c_backup, c)
    :: else -> copy_remote(r_backup, r)
    fi
}
/* Begins with what is stored. */
inline wake(node) {
    life[node]++;
    if
    :: node == core -> plan()
    :: else
    fi;
    dirty[node] = false;
    for (k : 1 .. NUMBERS - 1) {
        dirty[node] = dirty[node] || link[node].row[k] != 0
    }
}
inline restore(node) {
    printf("%d is restored\n", node);
    losses++;
    rounds = 0;
    copy_link(link[node], link_backup[node]);
    if
    :: node == core -> copy_core(c, c_backup)
    :: else -> copy_remote(r, r_backup)
    fi;
    silent[node] = true;
    /* What nobody has any more. */
    for (i : 1 .. IDS) {
        count = 0;
        for (v : 1 .. UIDS - 1) {
            if
            :: c.at[v] == (there | i) || (r.at[v] & ~untold) == (there | i) || r.at[v] == (pending | i) -> count = 1
            :: else
            fi
        }
        if
        :: count == 0 && i <= mails + appends -> forgotten = forgotten | BIT(i)
        :: else
        fi;
        /* An expunge of which nobody knows any more. */
        count = 0;
        for (v : 1 .. UIDS - 1) {
            if
            :: (IS(c.at[v], gone) && MESSAGE(c.at[v]) == i) || (IS(r.at[v], gone) && MESSAGE(r.at[v]) == i) -> count = 1
            :: else
            fi
        }
        if
        :: count == 0 -> dead = dead & ~BIT(i)
        :: else
        fi
    }
    if
    :: WITNESS -> life[node]++; begin_after_loss(node)
    :: else -> unaware[node] = true; wake(node)
    fi
}

#if FLIGHT > 1
#define UNDER_WAY (way[0].sent || way[1].sent || way[2].sent || way[3].sent)
#else
#define UNDER_WAY (way[0].sent || way[1].sent)
#endif
inline check_agreement() {
    nothing_awaited = c.awaited == 0;
    assert(nothing_awaited);
    if
    :: !silent[core] && !silent[remote] ->
        for (v : 1 .. UIDS - 1) {
            agreed = IS(c.at[v], there) == IS(r.at[v], there) && (!IS(c.at[v], there) || MESSAGE(c.at[v]) == MESSAGE(r.at[v])) &&
                (!IS(r.at[v], pending) || IS(r.at[v], untold)) && !IS(r.provisional[v], unconfirmed);
            assert(agreed)
        }
        for (i : 1 .. IDS) {
            if
            :: i <= mails + appends && ((expunged | forgotten) & BIT(i)) == 0 ->
                count = 0;
                for (v : 1 .. UIDS - 1) {
                    if
                    :: c.at[v] == (there | i) -> count++
                    :: else
                    fi
                }
                is_there_once = count == 1;
                assert(is_there_once)
            :: else
            fi;
            if
            :: (dead & BIT(i)) != 0 && losses <= 1 && WITNESS ->
                stays_gone = true;
                for (v : 1 .. UIDS - 1) {
                    stays_gone = stays_gone && c.at[v] != (there | i)
                }
                assert(stays_gone)
            :: else
            fi
        }
    :: else
    fi
}

/* Sends again what was not acknowledged, when nothing is under way; where there is nothing, all must agree. */
inline rest() {
    leaving = 0;
    for (k : 1 .. NUMBERS - 1) {
        if
        :: link[core].row[k] != 0 -> dirty[core] = true; leaving = 1
        :: else
        fi;
        if
        :: link[remote].row[k] != 0 -> dirty[remote] = true; leaving = 1
        :: else
        fi
    }
    if
    :: leaving == 1 -> rounds++; few_rounds = rounds <= ROUNDS; assert(few_rounds)
    :: else -> rounds = 0; check_agreement()
    fi
}

/* ---- what happens */

#define HAPPENS(budget, most) budget < most -> budget++; rounds = 0
#define TO(node) (FLIGHT * (node))   /* the first slot of its way */
#define FREE(node, slot) (!way[TO(node) + (slot)].sent && ((slot) == 0 || way[TO(node) + (slot) - 1].sent))

inline send_all(node, slot) {
    if
    :: node == core -> plan()
    :: else
    fi;
    send(node, slot, 1, NUMBERS - 1);
    dirty[node] = false
}
/* One of several. */
inline send_part(node, slot, is_last) {
    if
    :: node == core -> plan()
    :: else
    fi;
    place = 0;
    count = 0;
    for (k : 1 .. NUMBERS - 1) {
        if
        :: link[node].row[k] != 0 ->
            count++;
            if
            :: is_last || place == 0 -> place = k
            :: else
            fi
        :: else
        fi
    }
    if
    :: count > 1 ->
        parts++;
        send(node, slot, place, place);
        if
        :: is_last && FORGET_ACKS -> way[slot].acks = 0
        :: else
        fi
    :: else
    fi
}
inline expunge_at_core(message) {
    for (u : 1 .. UIDS - 1) {
        if
        :: c.at[u] == (there | message) ->
            c.at[u] = gone | untold | message;
            expunged = expunged | BIT(message);
            /* What core has renumbered and forgotten is known to the remote by a number that nothing leads to. */
            if
            :: c.awaited == 0 -> dead = dead | BIT(message)
            :: else
            fi;
            expunges++;
            rounds = 0;
            printf("a client expunges %d, which is %d\n", message, u);
            dirty[core] = true
        :: else
        fi
    }
}
inline expunge_at_remote(message) {
    place = 0;
    for (u : 1 .. UIDS - 1) {
        if
        :: (r.at[u] & ~untold) == (there | message) && place == 0 ->
            place = u;
            r.at[u] = gone | message;
            expunged = expunged | BIT(message);
            dead = dead | BIT(message);
            expunges++;
            rounds = 0;
            printf("a client expunges %d, which is %d\n", message, u);
            if
            :: IS(r.provisional[u], unconfirmed) -> r.provisional[u] = r.provisional[u] | expunged_here
            :: else -> give(remote, ENTRY(an_expunge, u, 0, 0))
            fi
        :: else
        fi
    }
}
inline client(message) {
    if
    :: d_step { expunges < EXPUNGES -> expunge_at_core(message); skip }
    :: d_step { expunges < EXPUNGES -> expunge_at_remote(message); skip }
    fi
}
inline arrive(node, slot) {
    if
    :: d_step { way[slot].sent -> receive(node, slot); clear(slot); skip }
    :: d_step { way[slot].sent && repeats < REPEATS -> repeats++; receive(node, slot); skip }
    :: d_step { way[slot].sent && drops < DROPS -> drops++; rounds = 0; printf("one to %d is lost\n", node); clear(slot); skip }
    fi
}
inline sends(node, lane) {
    if
    :: d_step { dirty[node] && FREE(PEER(node), lane) -> send_all(node, TO(PEER(node)) + lane); skip }
    :: d_step { dirty[node] && FREE(PEER(node), lane) && parts < PARTS -> send_part(node, TO(PEER(node)) + lane, false); skip }
    :: d_step { dirty[node] && FREE(PEER(node), lane) && parts < PARTS -> send_part(node, TO(PEER(node)) + lane, true); skip }
    fi
}
inline loses(node) {
    if
    :: d_step { !has_backup[node] && losses < LOSSES && (LOSER & (node + 1)) != 0 -> back_up(node); skip }
    :: d_step { has_backup[node] && losses < LOSSES -> restore(node); skip }
    :: d_step { restarts < RESTARTS -> restarts++; rounds = 0; printf("%d is restarted\n", node); wake(node); skip }
    fi
}

init {
    d_step {
        for (i : 0 .. 1) {
            link[i].own = LINKED(i);
            link[i].peer = LINKED(1 - i);
            link[i].next = 1;
            link[i].given_first = 1;
            link[i].given_life = 1;
            link[i].peer_life = 1;
            life[i] = 1
        }
        c.uidnext = 1;
        i = 0
    }
    do
    /* A mail comes to core. */
    :: d_step { HAPPENS(mails, MAILS);
        use_uid(core, c.uidnext, mails + appends);
        c.at[c.uidnext] = there | (mails + appends);
        c.uidnext++;
        dirty[core] = true
       }
    /* A client of the remote appends. */
    :: d_step { HAPPENS(appends, APPENDS);
        r.visible++;
        use_uid(remote, r.visible, mails + appends);
        r.at[r.visible] = there | (mails + appends);
        r.before[r.visible] = 0;
        r.provisional[r.visible] = unconfirmed;
        give(remote, ENTRY(an_append, r.visible, 0, 0));
        show_arrived();
        skip
       }
    :: client(1)
#if IDS > 1
    :: client(2)
#endif
#if IDS > 2
    :: client(3)
#endif
    :: sends(core, 0)
    :: sends(remote, 0)
    :: arrive(core, 0)
    :: arrive(remote, FLIGHT)
#if FLIGHT > 1
    :: sends(core, 1)
    :: sends(remote, 1)
    :: arrive(core, 1)
    :: arrive(remote, FLIGHT + 1)
#endif
    :: loses(core)
    :: loses(remote)
    :: d_step { !dirty[core] && !dirty[remote] && !UNDER_WAY -> rest(); skip }
    od
}

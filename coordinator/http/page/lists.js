// Workers, the students' time, rows, rejections and events: everything that is a list.
import { byId, h, keyed, setAttribute, setText } from './dom.js';
import { alive } from './picture.js';
import { capital, clock, count, duration, percent, plural, short, span, unknown } from './format.js';

const workersMax = 200;
const rowsAtFirst = 5;
const longInput = 260;
const longText = 420;

const hasDone = {
    teacher: [
        ['labelled', 'labelled'],
        ['rejected', 'rejected'],
        ['retries', 'retries'],
    ],
    student: [
        ['micro_batches', 'micro-batches'],
        ['tokens', 'tokens'],
        ['stale', 'stale'],
    ],
    server: [
        ['pushes_accepted', 'gradients'],
        ['pulls', 'pulls'],
        ['pushes_duplicate', 'repeats dropped'],
    ],
};

function doneText(member) {
    const known = (hasDone[member.role] ?? []).filter(([name]) => member.counters?.[name] > 0);
    return known.map(([name, word]) => `${short(member.counters[name])} ${word}`).join(', ') || unknown;
}

function makeWorker() {
    const cell = (name, part) => h('td', { role: 'cell', 'data-label': name, class: part });
    return h(
        'tr',
        { role: 'row' },
        h('th', { role: 'rowheader', scope: 'row' }, h('span', { class: 'badge' }), ' ', h('span')),
        cell('State', 'state'),
        cell('Does now', 'busy'),
        cell('Has done', 'did'),
        cell('Where', 'where'),
        cell('Last heard', 'number'),
    );
}

/* Who left because there is nothing more to do for its role is not missed. */
function stateOf(m, stats) {
    const through = m.role === 'teacher' ? stats.labels.done : stats.training.done;
    return m.state !== 'alive' && through ? 'through' : m.state;
}

function drawWorker(node, m) {
    const [name, state, busy, did, where, heard] = node.children;
    setAttribute(node, 'data-role', m.role);
    setAttribute(node, 'data-state', m.state);
    setText(name.firstChild, m.role);
    setText(name.lastChild, m.name);
    setText(state, m.state);
    setText(busy, m.state === 'alive' ? m.busy_with || 'nothing' : unknown);
    setText(did, doneText(m));
    setText(where, `${m.host} · ${m.pid}`);
    setText(heard, `${span(m.silent_ms)} ago`);
}

export function showWorkers({ stats }) {
    const order = { teacher: 0, student: 1, server: 2 };
    const all = stats.members
        .map((m) => ({ ...m, state: stateOf(m, stats) }))
        .sort(
            (a, b) =>
                (order[a.role] ?? 3) - (order[b.role] ?? 3) ||
                a.name.localeCompare(b.name, 'en', { numeric: true }),
        );
    const dead = all.filter((m) => m.state === 'dead').length;
    const living = Object.keys(order).map((role) => plural(alive(stats, role), role));
    const missed = dead > 0 ? `, ${count(dead)} dead` : '';
    setText(
        byId('workers-count'),
        all.length === 0 ? 'none has come yet' : `${living.join(', ')} alive${missed}`,
    );
    keyed(byId('workers'), all.slice(0, workersMax), (m) => m.name, makeWorker, drawWorker);
    const more = byId('workers-more');
    more.hidden = all.length <= workersMax;
    setText(more, `${count(all.length - workersMax)} more are in /api/stats.`);
}

const parts = [
    ['compute', 'Computing'],
    ['wait', 'Waiting for work'],
    ['pull', 'Pulling parameters'],
    ['push', 'Pushing gradients'],
];

export function showTime({ stats }) {
    const place = byId('time');
    const shares = stats.student_time ?? {};
    const known = parts.every(([name]) => Number.isFinite(shares[name]));
    if (place.firstChild === null)
        place.append(
            h(
                'div',
                { class: 'split', 'aria-hidden': 'true' },
                ...parts.map(([name]) => h('span', { 'data-part': name })),
            ),
            h(
                'dl',
                { class: 'split-text' },
                ...parts.map(([name, word]) =>
                    h(
                        'div',
                        { 'data-part': name },
                        h('dt', {}, h('span', { class: 'swatch', 'aria-hidden': 'true' }), word),
                        h('dd', { 'data-stat': `time.${name}` }),
                    ),
                ),
            ),
            h('p', { class: 'empty' }),
        );
    const [bar, list, note] = place.children;
    bar.hidden = list.hidden = !known;
    parts.forEach(([name], i) => {
        bar.children[i].style.flexGrow = known ? shares[name] : 0;
        setText(list.children[i].lastChild, percent(shares[name], 1));
    });
    const s = stats.seconds ?? {};
    const beside =
        known && shares.push_beside > 0
            ? `Beside it, shards worked on gradients for ${percent(shares.push_beside, 1)} of the time. `
            : '';
    const took = [
        `labelling ${duration(s.label)}`,
        `tokenizer ${duration(s.tokenizer)}`,
        `training ${duration(s.train)}`,
        `validation ${duration(s.evaluate)}`,
    ];
    const stages = `Stages so far: ${took.join(', ')}.`;
    setText(note, known ? beside + stages : `No student has computed yet. ${stages}`);
}

/* A text that may be long: cut by the style sheet, with a button that shows the whole. */
function longable(node, lengths) {
    if (!lengths.some(([text, most]) => (text ?? '').length > most)) return node;
    const button = h(
        'button',
        {
            type: 'button',
            class: 'more',
            'aria-expanded': 'false',
            click: () => {
                const whole = node.classList.toggle('whole');
                setAttribute(button, 'aria-expanded', whole);
                setText(button, whole ? 'Less' : 'Whole text');
            },
        },
        'Whole text',
    );
    node.append(button);
    return node;
}

const said = (tag, name, text) => h(tag, { class: name, dir: 'auto' }, text);

function makeLabelled(row) {
    const agrees = row.gold === row.label; // as it is written; other spellings of the same answer are left to the reader
    const verdict =
        row.gold === undefined || row.gold === null
            ? null
            : h(
                  'span',
                  { class: agrees ? 'gold right' : 'gold other', dir: 'auto' },
                  agrees ? '✓ as gold' : `gold: ${row.gold}`,
              );
    return longable(
        h(
            'li',
            { class: 'row', 'data-id': row.id },
            said('p', 'input', row.input),
            said('p', 'rationale', row.rationale || 'no rationale'),
            h(
                'p',
                { class: 'label' },
                h('span', { class: 'key' }, 'Label '),
                said('strong', 'answer', row.label),
                ' ',
                verdict,
            ),
            h(
                'p',
                { class: 'meta' },
                [row.teacher, clock(row.time), (row.id ?? '').slice(0, 8)]
                    .filter((t) => t && t !== unknown)
                    .join(' · '),
            ),
        ),
        [
            [row.input, longInput],
            [row.rationale, longText],
        ],
    );
}

function makeRejected(row) {
    return longable(
        h(
            'li',
            { class: 'row', 'data-id': row.id },
            h('p', { class: 'label' }, h('span', { class: 'reason' }, row.reason)),
            said('p', 'input', row.input),
            said('pre', 'raw', row.raw || '(no text)'),
            h(
                'p',
                { class: 'meta' },
                [clock(row.time), (row.id ?? '').slice(0, 8)].filter((t) => t && t !== unknown).join(' · '),
            ),
        ),
        [
            [row.input, longInput],
            [row.raw, longText],
        ],
    );
}

const open = { labelled: false, rejected: false };

function showList(name, rows, make) {
    const shown = open[name] ? rows : rows.slice(0, rowsAtFirst);
    keyed(byId(name), shown, (r) => r.id, make);
    byId(`${name}-empty`).hidden = rows.length > 0;
    const more = byId(`${name}-more`);
    more.hidden = rows.length <= rowsAtFirst;
    setText(more, open[name] ? `Show the newest ${rowsAtFirst}` : `Show all ${rows.length} that are here`);
    setAttribute(more, 'aria-expanded', open[name]);
}

export function showRows({ rows, stats }) {
    showList('labelled', rows.labelled, makeLabelled);
    showList('rejected', rows.rejected, makeRejected);
    const reasons = Object.entries(stats.rejected_by_reason ?? {}).sort((a, b) => b[1] - a[1]);
    keyed(
        byId('reasons'),
        reasons,
        ([name]) => name,
        () => h('li', {}, h('span', { class: 'reason' }), ' ', h('span')),
        (node, [name, n]) => {
            setText(node.firstChild, name);
            setText(node.lastChild, count(n));
        },
    );
    byId('reasons').hidden = reasons.length === 0;
}

function makeEvent(e) {
    return h(
        'li',
        { 'data-kind': e.kind },
        h('time', { datetime: new Date(e.time * 1000).toISOString() }, clock(e.time)),
        ' ',
        h('span', { class: 'kind' }, e.kind),
        ' ',
        h('span', { class: 'text' }, e.who ? h('b', {}, e.who) : null, e.who ? ' ' : null, e.text),
    );
}

export function showEvents({ events }) {
    const pick = byId('events-kind');
    const kinds = [...new Set(events.map((e) => e.kind))].sort();
    for (const kind of kinds)
        if (![...pick.options].some((o) => o.value === kind))
            pick.append(h('option', { value: kind }, capital(kind)));
    const shown = events.filter((e) => pick.value === '' || e.kind === pick.value).reverse();
    keyed(byId('events'), shown, (e) => e.seq, makeEvent);
    byId('events-box').hidden = shown.length === 0;
    byId('events-empty').hidden = shown.length > 0;
}

/** Buttons and pickers of the lists; again() draws anew. */
export function listenToLists(again) {
    for (const name of Object.keys(open))
        byId(`${name}-more`).addEventListener('click', () => {
            open[name] = !open[name];
            again();
        });
    byId('events-kind').addEventListener('change', again);
}

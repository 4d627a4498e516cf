// The first screen: what the run does now, what is wrong, how far it is, and its main numbers.
import { byId, h, keyed, setAttribute, setText } from './dom.js';
import { capital, count, decimal, duration, money, percent, plural, short, span, unknown } from './format.js';

const tileWidth = 150; // pixels, at least

const and = (...parts) => parts.filter((p) => p !== '' && p !== null && p !== undefined).join(' · ');

/* {id, name, value, note}: one tile each; a tile without a value is left out. All are pure functions of /api/stats. */
const tiles = [
    {
        id: 'labelled',
        name: 'Rows labelled',
        value: (s) => count(s.rows.labelled),
        note: (s) => `of ${count(s.rows.total)}`,
    },
    {
        id: 'rejected',
        name: 'Rows rejected',
        value: (s) => count(s.rows.rejected),
        note: (s) =>
            and(
                percent(s.rows.rejected / Math.max(1, s.rows.rejected + s.rows.labelled), 1),
                s.rows.malformed > 0 ? `${count(s.rows.malformed)} malformed` : '',
            ),
    },
    {
        id: 'labelled_per_s',
        name: 'Labels a second',
        value: (s) => (s.labels.active && !s.labels.done ? short(s.labelled_per_s) : null),
        note: () => 'lately',
    },
    {
        id: 'step',
        name: 'Step',
        value: (s) => count(s.step),
        note: (s) => (s.n_steps === null ? 'of so many as there will be rows for' : `of ${count(s.n_steps)}`),
    },
    { id: 'loss', name: 'Loss', value: (s) => decimal(s.loss), note: () => 'nats a token' },
    {
        id: 'tokens_per_s',
        name: 'Tokens a second',
        value: (s) => short(s.tokens_per_s),
        note: (s) => `${short(s.tokens)} in all`,
    },
    {
        id: 'flops',
        name: 'FLOP/s',
        value: (s) => (s.compute?.mflops_per_s > 0 ? short(s.compute.mflops_per_s * 1e6) : null),
        note: (s) =>
            s.compute.peak_share == null ? 'of all students' : `${percent(s.compute.peak_share)} of the peak`,
    },
    {
        id: 'teacher_accuracy',
        name: 'Teacher accuracy',
        value: (s) => (s.accuracy?.teacher ? percent(s.accuracy.teacher.value, 1) : null),
        note: (s) => interval(s.accuracy.teacher),
    },
    {
        id: 'student_accuracy',
        name: 'Student, validation',
        value: (s) => (s.accuracy?.student ? percent(s.accuracy.student.value, 1) : null),
        note: (s) => interval(s.accuracy.student),
    },
    {
        id: 'spent',
        name: 'Spent',
        value: (s) => (paid(s) ? money(s.money.spent + s.money.lost, s.money.currency) : null),
        note: (s) =>
            and(
                s.money.budget === null ? '' : `of ${money(s.money.budget)}`,
                s.money.projected === null ? '' : `ends at ${money(s.money.projected)}`,
            ),
    },
    {
        id: 'teacher_tokens',
        name: 'Teacher tokens',
        value: (s) => (s.money && s.money.prompt_tokens > 0 ? short(s.money.prompt_tokens) : null),
        note: (s) => `in, ${short(s.money.completion_tokens)} out`,
    },
    {
        id: 'grad_norm',
        name: 'Gradient norm',
        value: (s) => (s.step > 0 ? decimal(s.grad_norm, 2) : null),
        note: () => 'before clipping',
    },
    {
        id: 'staleness',
        name: 'Staleness',
        value: (s) => (s.staleness ? count(s.staleness.max) : null),
        note: (s) =>
            s.staleness.limit == null ? 'versions at most' : `of ${count(s.staleness.limit)} versions`,
    },
    {
        id: 'restarts',
        name: 'Restarts',
        value: (s) => (s.restarts === undefined ? null : count(s.restarts)),
        note: (s) =>
            and(plural(s.rewinds, 'rewind'), lostLeases(s) > 0 ? plural(lostLeases(s), 'lease') : ''),
    },
    {
        id: 'retries',
        name: 'Retries',
        value: (s) => (s.retries ? count(s.retries.requests + s.retries.rows) : null),
        note: (s) => `${count(s.retries.requests)} requests, ${count(s.retries.rows)} rows`,
    },
];

const paid = (s) => Boolean(s.money) && (s.money.spent > 0 || s.money.budget !== null);

const lostLeases = (s) => s.leases.expired + s.leases.returned;

function interval(a) {
    const n = a.n == null ? '' : `n ${count(a.n)}`;
    return a.low == null ? n : `${(a.low * 100).toFixed(1)}–${percent(a.high, 1)}, ${n}`;
}

/** "Labels done in 0:20 · training done in 2:42" */
export function etaText(s) {
    const left = (name, seconds) =>
        seconds === null ? `${name} done: not known yet` : `${name} done in ${duration(seconds)}`;
    const label = s.labels.active && !s.labels.done ? left('labels', s.eta_s.label) : '';
    const train = s.training.active && !s.training.done ? left('training', s.eta_s.train) : '';
    const text = [label, train].filter((t) => t !== '').join(' · ');
    return text === '' ? `all done, ${duration(s.uptime_s)} since the start` : text;
}

function barsOf(s) {
    const bars = [];
    if (s.labels.active) {
        const { total, labelled, rejected, leased } = s.rows;
        bars.push({
            id: 'labels',
            name: 'Labels',
            whole: total,
            done: labelled + rejected,
            parts: [
                ['labelled', labelled],
                ['rejected', rejected],
                ['leased', leased],
            ],
            text: `${count(labelled + rejected)} of ${count(total)}`,
            eta: s.labels.done ? 'done' : s.eta_s.label === null ? unknown : duration(s.eta_s.label),
        });
    }
    if (s.training.active)
        bars.push({
            id: 'training',
            name: 'Training',
            whole: s.n_steps ?? 0,
            done: s.step,
            parts: [['steps', s.step]],
            text:
                s.n_steps === null ? `step ${count(s.step)}` : `step ${count(s.step)} of ${count(s.n_steps)}`,
            eta: s.training.done ? 'done' : s.eta_s.train === null ? unknown : duration(s.eta_s.train),
        });
    return bars;
}

function makeBar(bar) {
    const parts = bar.parts.map(([part]) => h('span', { class: `part ${part}` }));
    return h(
        'div',
        { class: 'progress' },
        h('span', { class: 'what', id: `bar-${bar.id}` }, bar.name),
        h('span', { class: 'count', 'data-stat': `bar.${bar.id}` }),
        h('span', { class: 'eta' }),
        h(
            'div',
            { class: 'track', role: 'progressbar', 'aria-labelledby': `bar-${bar.id}`, 'aria-valuemin': 0 },
            ...parts,
        ),
    );
}

function drawBar(node, bar) {
    const [, text, eta, track] = node.children;
    const share = bar.whole > 0 ? bar.done / bar.whole : 0;
    setText(text, bar.whole > 0 ? `${bar.text}, ${percent(share)}` : bar.text);
    setText(eta, bar.eta === 'done' ? 'done' : `ETA ${bar.eta}`);
    setAttribute(track, 'aria-valuemax', bar.whole);
    setAttribute(track, 'aria-valuenow', bar.done);
    setAttribute(track, 'aria-valuetext', bar.text);
    bar.parts.forEach(([, n], i) => {
        track.children[i].style.width = `${bar.whole > 0 ? (100 * n) / bar.whole : 0}%`;
    });
}

function makeTile(tile) {
    return h(
        'div',
        { class: 'tile' },
        h('dt', {}, tile.name),
        h('dd', { class: 'value', 'data-stat': tile.id }),
        h('dd', { class: 'note' }),
    );
}

function drawTile(node, { value, note }) {
    setText(node.children[1], value);
    setText(node.children[2], note);
}

function showText(id, text) {
    const node = byId(id);
    setText(node, text);
    node.hidden = text === '';
}

function aboutText(s) {
    const up = s.uptime_s < 60 ? span(s.uptime_s * 1000) : duration(s.uptime_s);
    const mode = s.repeatable === false ? `mode ${s.mode}, does not repeat bit for bit` : `mode ${s.mode}`;
    return and(
        `Retort ${s.version}`,
        `run ${s.run}`,
        `coordinator ${s.pid} up for ${up}`,
        mode,
        `settings ${s.fingerprint.slice(0, 12)}`,
    );
}

/* So many columns that the rows are as full as they can be. */
function columnsFor(n, width) {
    const fit = Math.max(2, Math.floor(width / tileWidth));
    return Math.ceil(n / Math.ceil(n / fit));
}

export function showHeadline({ stats }) {
    const s = stats;
    setText(byId('run'), s.run);
    setText(byId('doing'), s.doing === '' ? 'Idle' : capital(s.doing));
    showText('problem', s.problem);
    showText('starved', s.starved?.now ? capital(s.starved.now) : '');
    keyed(byId('bars'), barsOf(s), (b) => b.id, makeBar, drawBar);
    const shown = tiles
        .map((t) => ({ ...t, value: t.value(s) }))
        .filter((t) => t.value !== null)
        .map((t) => ({ ...t, note: t.note(s) }));
    const place = byId('tiles');
    place.style.setProperty('--columns', columnsFor(shown.length, place.clientWidth));
    keyed(place, shown, (t) => t.id, makeTile, drawTile);
    const progress =
        s.training.active && s.n_steps
            ? s.step / s.n_steps
            : s.rows.total > 0
              ? (s.rows.labelled + s.rows.rejected) / s.rows.total
              : 0;
    const title = `${s.problem === '' ? '' : '! '}${percent(progress)} ${s.run} – Retort`;
    if (document.title !== title) document.title = title;
    setText(byId('about'), aboutText(s));
}

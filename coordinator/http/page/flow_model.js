// The way of one example as eight places and what flows between them, read out of /api/stats. Pure.
// A tone of a place: 'idle', 'works', 'waits' (it starves), 'bad' (nobody is there who should be), 'done'.
import { alive } from './picture.js';
import { count, percent, plural, short } from './format.js';

const perSecond = (x, what) => (x === null ? '' : `${short(x)} ${what}/s`);

function toneOf(stats, role, active, done, starving) {
    if (!active) return 'idle';
    if (done) return 'done';
    if (alive(stats, role) === 0) return 'bad';
    return starving === role ? 'waits' : 'works';
}

/* What stands under the number of living processes; `works` is what they do when all is well. */
function noteOf(tone, works) {
    if (tone === 'waits') return works.includes('computing') ? `wait, ${works}` : 'wait';
    return { idle: 'not in this run', bad: 'none is alive', done: 'done' }[tone] ?? works;
}

/** {places: [{id, title, value, note, tone}], ways: [{from, to, text, live}]} */
export function flowOf(picture) {
    const s = picture.stats;
    const starving = picture.starving();
    const labelling = s.labels.active && !s.labels.done;
    const training = s.training.active && !s.training.done;
    const teachers = toneOf(s, 'teacher', s.labels.active, s.labels.done, starving);
    const students = toneOf(s, 'student', s.training.active, s.training.done, starving);
    const servers = toneOf(s, 'server', s.training.active, s.training.done, '');
    const ready = s.step > 0;
    const rows = picture.rate('teacherRows');
    const stage = (active, done) => (!active ? 'idle' : done ? 'done' : 'works');
    const share = s.student_time?.compute;

    const places = [
        {
            id: 'corpus',
            title: 'Corpus',
            value: count(s.rows.total),
            note: labelling ? `${count(s.rows.pending)} pending` : 'all leased',
            tone: stage(s.labels.active, s.labels.done),
        },
        {
            id: 'teachers',
            title: 'Teachers',
            value: count(alive(s, 'teacher')),
            note: noteOf(teachers, 'labelling'),
            tone: teachers,
        },
        {
            id: 'labels',
            title: 'LABELS',
            kind: 'queue',
            value: count(s.queues.labels),
            note: 'answers',
            tone: s.queues.connected ? stage(s.labels.active, s.labels.done && s.queues.labels === 0) : 'bad',
        },
        {
            id: 'archive',
            title: 'Archive',
            value: count(s.rows.labelled),
            note: `${count(s.rows.rejected)} rejected`,
            tone: stage(s.labels.active, s.labels.done),
        },
        {
            id: 'batches',
            title: 'BATCHES',
            kind: 'queue',
            value: count(s.queues.batches),
            note: 'micro-batches',
            tone: s.queues.connected ? stage(s.training.active, s.training.done) : 'bad',
        },
        {
            id: 'students',
            title: 'Students',
            value: count(alive(s, 'student')),
            note: noteOf(students, Number.isFinite(share) ? `${percent(share)} computing` : 'not started'),
            tone: students,
        },
        {
            id: 'server',
            title: 'Parameter server',
            value: `v${count(s.step)}`,
            note: noteOf(servers, `${plural(alive(s, 'server'), 'shard')} alive`),
            tone: servers,
        },
        {
            id: 'checkpoint',
            title: 'Checkpoint',
            value: s.checkpoint > 0 ? `v${count(s.checkpoint)}` : 'none',
            note: s.best ? `best is v${count(s.best.version)}` : 'none scored yet',
            tone: stage(s.training.active, s.training.done),
        },
    ];
    const ways = [
        {
            from: 'corpus',
            to: 'teachers',
            text: labelling ? `${count(s.rows.leased)} leased` : '',
            live: s.rows.leased > 0,
        },
        {
            from: 'teachers',
            to: 'labels',
            text: labelling ? perSecond(rows, 'rows') : '',
            live: labelling && rows > 0,
        },
        {
            from: 'labels',
            to: 'archive',
            text: labelling ? perSecond(s.labelled_per_s, 'rows') : '',
            live: labelling && s.labelled_per_s > 0,
        },
        {
            from: 'archive',
            to: 'batches',
            text: training && ready ? perSecond(picture.rate('step'), 'steps') : '',
            live: training && ready,
        },
        {
            from: 'batches',
            to: 'students',
            text: training && ready ? perSecond(s.tokens_per_s, 'tokens') : '',
            live: training && s.tokens_per_s > 0,
        },
        {
            from: 'students',
            to: 'server',
            text: training && ready ? perSecond(picture.rate('microBatches'), 'gradients') : '',
            live: training && s.tokens_per_s > 0,
        },
        {
            from: 'server',
            to: 'checkpoint',
            text: training && ready ? `${plural(Math.max(0, s.step - s.checkpoint), 'step')} since` : '',
            live: training && ready,
        },
    ];
    const starved = new Set(places.filter((p) => p.tone === 'waits').map((p) => p.id));
    for (const way of ways) way.starved = starved.has(way.to);
    return { places, ways };
}

/** The same as sentences, for those who do not see the picture. */
export function flowSentences({ places, ways }) {
    return places.map((place) => {
        const out = ways.find((w) => w.from === place.id);
        const mark = { waits: ' It starves.', bad: ' Trouble here.', done: ' Done.' }[place.tone] ?? '';
        const on = out && out.text !== '' ? ` Onward: ${out.text}.` : '';
        return `${place.title}: ${place.value}, ${place.note}.${mark}${on}`;
    });
}

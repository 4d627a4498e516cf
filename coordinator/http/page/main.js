// The dashboard of a run. What the coordinator tells (link.js) becomes what the page knows (picture.js), and that is
// drawn: at most four times a second, not while the page is hidden, and not while it is held.
import { byId, setAttribute, setText } from './dom.js';
import { Curves } from './curves.js';
import { Flow } from './flow.js';
import { etaText, showHeadline } from './headline.js';
import { Link } from './link.js';
import { listenToLists, showEvents, showRows, showTime, showWorkers } from './lists.js';
import { Picture } from './picture.js';
import { span } from './format.js';

const drawMs = 250;
const staleMs = 4000;
const againMs = 2000;

const picture = new Picture();
const curves = new Curves();
const flow = new Flow();
const dirty = new Set();
let held = false;
let linkState = { name: 'connecting', why: '' };
let catching = false;

const painters = {
    stats: () => {
        showHeadline(picture);
        flow.show(picture);
        showTime(picture);
        showWorkers(picture);
    },
    curves: () => curves.show(picture),
    rows: () => showRows(picture),
    events: () => showEvents(picture),
};

function draw() {
    if (picture.stats === null || held || document.hidden) return;
    for (const name of dirty) painters[name]();
    dirty.clear();
}

function changed(...names) {
    for (const name of names) dirty.add(name);
}

/* Asks for what the stream does not repeat, again and again until it is there. */
async function catchUp() {
    if (catching) return;
    catching = true;
    while (picture.missing !== null && ['live', 'polling'].includes(linkState.name)) {
        const asked = picture.missing;
        try {
            const [history, events, rows] = await Promise.all([
                link.get(`/api/history?since=${asked.points}`),
                link.get(`/api/events?since=${asked.events}`),
                link.get('/api/rows'),
            ]);
            picture.takeMissing(asked, history, events);
            picture.takeRows(rows);
            changed('curves', 'rows', 'events');
        } catch {
            await new Promise((resolve) => setTimeout(resolve, againMs)); // a broken connection is told by the stream
        }
    }
    catching = false;
}

function onMessage(name, object) {
    if (name === 'stats') {
        if (picture.stats === null) changed('curves', 'events');
        picture.takeStats(object, Date.now());
        catchUp();
        changed('stats', 'rows');
    } else if (name === 'point') {
        picture.takePoint(object);
        changed('curves');
    } else if (name === 'evaluation') {
        picture.takeEvaluations([object]);
        changed('curves');
    } else if (name === 'event') {
        picture.takeEvent(object);
        changed('events');
    } else if (name === 'rows') {
        picture.takeRows(object);
        changed('rows');
    }
}

function linkText(now) {
    const silent = now - picture.heardMs;
    const old = picture.stats === null ? '' : `; the picture is ${span(silent)} old`;
    const finished =
        picture.stats?.doing === 'finished' ? 'The run has finished and the coordinator has gone' : null;
    switch (linkState.name) {
        case 'live':
            return silent > staleMs && picture.stats !== null
                ? `Stale: nothing heard for ${span(silent)}`
                : 'Live';
        case 'polling':
            return 'Every 2 s: all live streams are taken';
        case 'locked':
            return 'Locked: a key is wanted';
        case 'lost':
            if (finished !== null) return finished;
            return `Lost: ${linkState.why}${old}. Next try in ${Math.max(0, Math.ceil((linkState.at - now) / 1000))} s`;
        default:
            return finished ?? `Connecting${old}`;
    }
}

function showLink() {
    const now = Date.now();
    const silent = picture.stats !== null && now - picture.heardMs > staleMs;
    const name = linkState.name === 'live' && silent ? 'stale' : linkState.name;
    setAttribute(byId('link'), 'data-state', name);
    setText(byId('link-text'), held ? `Held. ${linkText(now)}` : linkText(now));
    document.body.classList.toggle('stale', silent);
    byId('retry').hidden = linkState.name !== 'lost';
}

let announced = '';
function announce() {
    const what = linkState.name === 'connecting' ? announced.split('|')[0] : linkState.name;
    const s = picture.stats;
    const text = `${what}|${s?.doing ?? ''}`;
    if (text === announced || document.hidden) return;
    announced = text;
    const words = {
        live: 'Live.',
        polling: 'Live, every two seconds.',
        lost: 'The connection is lost.',
        locked: 'A key is wanted.',
    };
    setText(
        byId('announce'),
        `${words[what] ?? ''} ${s === null ? '' : `The run: ${s.doing}. ${etaText(s)}.`}`,
    );
}

function askForKey(wrong) {
    const dialog = byId('key-dialog');
    setText(byId('key-wrong'), wrong ? 'This key was not accepted.' : '');
    byId('key-wrong').hidden = !wrong;
    if (!dialog.open) dialog.showModal();
    byId('key').select();
}

const link = new Link({
    message: onMessage,
    state: (name, more) => {
        linkState = { name, why: '', ...more };
        if (name !== 'live') picture.lose();
        if (name === 'locked') askForKey(more.wrong);
        showLink();
    },
});

byId('key-dialog').addEventListener('cancel', (event) => event.preventDefault());
byId('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const key = byId('key').value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) {
        setText(byId('key-wrong'), 'A key has only printable ASCII letters and no spaces.');
        byId('key-wrong').hidden = false;
        return;
    }
    byId('key').value = '';
    byId('key-dialog').close();
    link.unlock(key);
});
byId('retry').addEventListener('click', () => link.retryNow());
byId('hold').addEventListener('click', () => {
    held = !held;
    setAttribute(byId('hold'), 'aria-pressed', held);
    draw();
    showLink();
});
listenToLists(() => {
    const wasHeld = held;
    held = false;
    changed('rows', 'events');
    draw();
    held = wasHeld;
});

const theme = byId('theme');
theme.value = window.retortTheme.get();
theme.addEventListener('change', () => {
    window.retortTheme.set(theme.value);
    curves.repaint();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => curves.repaint());
document.addEventListener('visibilitychange', draw);

setInterval(() => {
    draw();
    showLink();
    announce();
}, drawMs);
link.run();

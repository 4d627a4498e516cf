// The way to the coordinator: one stream of server-sent events, read with fetch so that it can carry a key, opened
// again with growing pauses when it breaks. States: connecting, live, polling (all streams are taken), lost (waiting
// for the next try), locked (a key is wanted).

const firstPauseMs = 500;
const longestPauseMs = 15000;
const answerMs = 30000;
const silenceMs = 10000; // the coordinator speaks every second
const pollMs = 2000;
const pollForMs = 30000; // then a stream is tried again
const keyName = 'retort-key';

/** Cuts the text of a stream into events: [{event, data}], lines ended as the standard allows. Pure but for its rest. */
export class EventCutter {
    #rest = '';
    #event = '';
    #data = [];

    feed(text) {
        const done = [];
        const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
        this.#rest = lines.pop();
        for (const line of lines) {
            if (line === '') {
                if (this.#data.length > 0)
                    done.push({ event: this.#event || 'message', data: this.#data.join('\n') });
                this.#event = '';
                this.#data = [];
                continue;
            }
            const colon = line.indexOf(':');
            const field = colon < 0 ? line : line.slice(0, colon);
            const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
            if (field === 'event') this.#event = value;
            else if (field === 'data') this.#data.push(value);
        }
        return done;
    }
}

/** How long to wait before try n (0, 1, ...): doubling, with a quarter of chance so that many pages spread out. */
export const pauseMs = (n, chance = Math.random()) =>
    Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(n, 10)) * (0.75 + chance / 2);

class Refused extends Error {
    constructor(status, text) {
        super(text);
        this.status = status;
    }
}

function stored() {
    try {
        return sessionStorage.getItem(keyName) ?? '';
    } catch {
        return '';
    }
}

function store(key) {
    try {
        sessionStorage.setItem(keyName, key);
    } catch {
        // forbidden: it lasts as long as the page
    }
}

/**
 * on.message(event, object)    what the stream tells
 * on.state(name, {why, at})    at: when the next try is due, in ms of Date.now()
 */
export class Link {
    #on;
    #key = stored();
    #fails = 0;
    #wake = () => {};
    #locked = false;

    constructor(on) {
        this.#on = on;
    }

    async run() {
        for (;;) {
            let why = 'the coordinator ended the stream';
            this.#on.state('connecting', {});
            try {
                await this.#stream();
            } catch (error) {
                if (error.status === 401) {
                    await this.#waitForKey();
                    continue;
                }
                if (error.status === 503 || error.status === 429) error = await this.#poll(error);
                why = error.status ? `it answered ${error.status}: ${error.message}` : 'it does not answer';
            }
            const pause = pauseMs(this.#fails++);
            this.#on.state('lost', { why, at: Date.now() + pause });
            await this.#sleep(pause);
        }
    }

    retryNow() {
        this.#fails = 0;
        this.#wake();
    }

    /** Takes a key and tries with it. */
    unlock(key) {
        this.#key = key;
        store(key);
        this.#locked = false;
        this.#wake();
    }

    /** The JSON of a path. Throws what fetch throws, and Refused with its status. */
    async get(path) {
        const answer = await this.#ask(path, AbortSignal.timeout(answerMs));
        return answer.json();
    }

    async #ask(path, signal) {
        const headers = this.#key === '' ? {} : { Authorization: `Bearer ${this.#key}` };
        const answer = await fetch(path, { headers, signal, cache: 'no-store', credentials: 'omit' });
        if (!answer.ok) throw new Refused(answer.status, (await answer.text()).slice(0, 200).trim());
        return answer;
    }

    async #stream() {
        const silence = new AbortController();
        let timer = setTimeout(() => silence.abort(), silenceMs);
        try {
            const answer = await this.#ask('/api/stream', silence.signal);
            const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
            const cutter = new EventCutter();
            this.#on.state('live', {});
            for (;;) {
                const { value, done } = await reader.read();
                if (done) return;
                clearTimeout(timer);
                timer = setTimeout(() => silence.abort(), silenceMs);
                for (const { event, data } of cutter.feed(value)) this.#tell(event, data);
            }
        } finally {
            clearTimeout(timer);
            silence.abort();
        }
    }

    #tell(event, data) {
        let object;
        try {
            object = JSON.parse(data);
        } catch {
            return; // a line that is not JSON: the next one comes within a second
        }
        this.#fails = 0;
        this.#on.message(event, object);
    }

    /* Returns the error that ended it, or the one it began with. */
    async #poll(first) {
        const until = Date.now() + pollForMs;
        try {
            while (Date.now() < until) {
                const stats = await this.get('/api/stats');
                this.#on.state('polling', { why: first.message });
                this.#on.message('stats', stats);
                await this.#sleep(pollMs);
            }
            this.#fails = 0;
            return first;
        } catch (error) {
            return error;
        }
    }

    async #waitForKey() {
        this.#locked = true;
        this.#on.state('locked', { wrong: this.#key !== '' });
        while (this.#locked) await this.#sleep(3600e3);
    }

    #sleep(ms) {
        return new Promise((resolve) => {
            const timer = setTimeout(resolve, ms);
            this.#wake = () => {
                clearTimeout(timer);
                resolve();
            };
        });
    }
}

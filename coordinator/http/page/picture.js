// What the page knows of the run, and what follows from it. No elements, no clock: times come in as arguments.

const pointsMax = 4096;
const eventsMax = 512;
const overlap = 16; // points asked for again: an evaluation may come a little after points with greater numbers
const windowS = 10; // over which rates of counters are taken

const sum = (list) => list.reduce((a, b) => a + b, 0);

/** Counters of all members of a role, added. */
export const counted = (stats, role, ...names) =>
    sum(
        (stats.members ?? [])
            .filter((m) => m.role === role)
            .flatMap((m) => names.map((n) => m.counters?.[n] ?? 0)),
    );

export const alive = (stats, role) =>
    (stats.members ?? []).filter((m) => m.role === role && m.state === 'alive').length;

/* Both lists by their numbers, each number once. */
const joined = (old, fresh) =>
    [...new Map([...old, ...fresh].map((item) => [item.seq, item])).values()].sort((a, b) => a.seq - b.seq);

export class Picture {
    stats = null;
    heardMs = 0; // when the newest stats came
    points = [];
    evaluations = [];
    events = [];
    missing = { points: 0, events: 0 }; // numbers after which all is to be asked for; null: nothing is missing
    rows = { labelled: [], rejected: [] };
    #marks = []; // of the last seconds: {s, teacherRows, microBatches, step}

    takeStats(stats, nowMs) {
        if (this.stats !== null && this.stats.pid !== stats.pid) {
            this.#marks = []; // another coordinator counts from its own start
            this.missing = { points: 0, events: 0 };
        }
        this.stats = stats;
        this.heardMs = nowMs;
        this.#marks.push({
            s: stats.uptime_s,
            teacherRows: counted(stats, 'teacher', 'labelled', 'rejected'),
            microBatches: counted(stats, 'student', 'micro_batches'),
            step: stats.step,
        });
        while (this.#marks[0].s < stats.uptime_s - windowS && this.#marks.length > 2) this.#marks.shift();
    }

    takePoint(point) {
        if (point.seq <= (this.points.at(-1)?.seq ?? 0)) return;
        this.points.push(point);
        if (this.points.length > pointsMax) this.points = this.points.filter((_, i) => i % 2 === 1);
    }

    takeEvaluations(evaluations) {
        const byVersion = new Map([...this.evaluations, ...evaluations].map((e) => [e.version, e]));
        this.evaluations = [...byVersion.values()].sort((a, b) => a.version - b.version);
    }

    /** What comes now is not told: it will have to be asked for. */
    lose() {
        const newest = (list) => list.at(-1)?.seq ?? 0;
        this.missing ??= { points: Math.max(0, newest(this.points) - overlap), events: newest(this.events) };
    }

    /** The answers of /api/history and /api/events to `missing`, which may have changed since they were asked. */
    takeMissing(asked, history, events) {
        if (asked !== this.missing) return;
        this.missing = null;
        this.points = joined(asked.points === 0 ? [] : this.points, history.points);
        this.events = joined(asked.events === 0 ? [] : this.events, events.events).slice(-eventsMax);
        this.takeEvaluations(history.evaluations);
    }

    takeEvent(event) {
        this.events = joined(this.events, [event]).slice(-eventsMax);
    }

    takeRows(rows) {
        this.rows = { labelled: rows.labelled ?? [], rejected: rows.rejected ?? [] };
    }

    /** Per second over the last seconds, null when not known: teacherRows, microBatches, step. */
    rate(name) {
        const [from, last] = [this.#marks[0], this.#marks.at(-1)];
        if (!from || last.s - from.s < 0.5 || last[name] < from[name]) return null;
        return (last[name] - from[name]) / (last.s - from.s);
    }

    /** 'student', 'teacher' or '': who waits now, as the coordinator's sentence begins. */
    starving() {
        return /student|teacher/i.exec(this.stats.starved?.now ?? '')?.[0].toLowerCase() ?? '';
    }
}

// What the page knows of the run, and what follows from it. No elements, no clock: times come in as arguments.

const pointsMax = 4096;
const eventsMax = 512;
const overlap = 16;
const windowS = 10; // over which rates of counters are taken
const starvingWindowS = 4;
const starvingShare = 0.5; // of the time in which a role had nothing to do

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

export class Picture {
    stats = null;
    heardMs = 0; // when the newest stats came
    points = [];
    pointSeq = 0;
    evaluations = [];
    events = [];
    eventSeq = 0;
    rows = { labelled: [], rejected: [] };
    #marks = []; // of the last seconds: {s, teacherRows, microBatches, step, studentStarved, teacherStarved}

    /** Returns false when another coordinator speaks than before: what is known of the run must be asked again. */
    takeStats(stats, nowMs) {
        const same = this.stats === null || this.stats.pid === stats.pid;
        if (!same) this.#forget();
        this.stats = stats;
        this.heardMs = nowMs;
        this.#marks.push({
            s: stats.uptime_s,
            teacherRows: counted(stats, 'teacher', 'labelled', 'rejected'),
            microBatches: counted(stats, 'student', 'micro_batches'),
            step: stats.step,
            studentStarved: stats.starved?.student_s ?? 0,
            teacherStarved: stats.starved?.teacher_s ?? 0,
        });
        while (this.#marks[0].s < stats.uptime_s - windowS && this.#marks.length > 2) this.#marks.shift();
        return same;
    }

    takePoint(point) {
        if (point.seq <= this.pointSeq) return;
        this.points.push(point);
        this.pointSeq = point.seq;
        if (this.points.length > pointsMax) this.points = this.points.filter((_, i) => i % 2 === 1);
    }

    takeEvaluations(evaluations) {
        const byVersion = new Map([...this.evaluations, ...evaluations].map((e) => [e.version, e]));
        this.evaluations = [...byVersion.values()].sort((a, b) => a.version - b.version);
    }

    /** The number after which the history is to be asked for. Evaluations have numbers of the same row and may come late. */
    historySince() {
        return Math.max(0, this.pointSeq - overlap);
    }

    /** What /api/history answered: everything, or what came after number `since`. */
    takeHistory(history, since) {
        if (since === 0) this.points = [];
        const known = new Set(this.points.map((p) => p.seq));
        this.points.push(...(history.points ?? []).filter((p) => !known.has(p.seq)));
        this.points.sort((a, b) => a.seq - b.seq);
        this.pointSeq = Math.max(history.seq ?? 0, this.points.at(-1)?.seq ?? 0);
        this.takeEvaluations(history.evaluations ?? []);
    }

    takeEvents(events) {
        for (const event of events) {
            if (event.seq <= this.eventSeq) continue;
            this.events.push(event);
            this.eventSeq = event.seq;
        }
        if (this.events.length > eventsMax) this.events.splice(0, this.events.length - eventsMax);
    }

    takeRows(rows) {
        this.rows = { labelled: rows.labelled ?? [], rejected: rows.rejected ?? [] };
    }

    /** Per second over the last seconds, null when not known: teacherRows, microBatches, step. */
    rate(name) {
        return this.#growth(name, this.#marks[0]);
    }

    /** 'student', 'teacher' or '': who had nothing to do for most of the last seconds. */
    starving() {
        const last = this.#marks.at(-1);
        const from = last && this.#marks.find((m) => m.s >= last.s - starvingWindowS);
        for (const role of ['student', 'teacher'])
            if ((this.#growth(`${role}Starved`, from) ?? 0) > starvingShare) return role;
        return '';
    }

    #growth(name, from) {
        const last = this.#marks.at(-1);
        if (!from || last.s - from.s < 0.5 || last[name] < from[name]) return null;
        return (last[name] - from[name]) / (last.s - from.s);
    }

    #forget() {
        this.points = [];
        this.pointSeq = 0;
        this.events = [];
        this.eventSeq = 0;
        this.#marks = [];
    }
}

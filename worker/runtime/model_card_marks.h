/* Lines of a student's README.md between which its scores belong: export writes them, report fills in
 * what is between. */
#ifndef RT_WORKER_RUNTIME_MODEL_CARD_MARKS_H
#define RT_WORKER_RUNTIME_MODEL_CARD_MARKS_H

#define MODEL_CARD_INDEX      "# scores, filled in by `retort report`"
#define MODEL_CARD_INDEX_END  "# end of scores"
#define MODEL_CARD_SCORES     "<!-- scores, filled in by `retort report` -->"
#define MODEL_CARD_SCORES_END "<!-- end of scores -->"

#endif

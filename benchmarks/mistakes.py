"""What corrections are worth: false alarms of one half of held-out speech are corrected; how many come back in the other half.

    python benchmarks/mistakes.py work/dev/align speech_commands custom_phrases --speakers anna ben

Each keyword gets the threshold at which it fires --per-hour times in the first half. What fires there is given to `correct`. In
the second half, and in recordings of the keyword that did not enroll it, what fires before and after is counted.

The halves are alternating utterances of the same speakers: what is learnt of a voice helps with that voice in the other half, too,
as it would at home. What corrections are worth among other people isn't measured.
"""

from __future__ import annotations

import numpy as np
from heldout import Speech, parser, peaks, read_keywords, read_speech, similarities
from timing import print_table

from wordprint.model import Model
from wordprint.spot.correct import add_mistake
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--per-hour", type=float, default=10.0)
    options.add_argument("--asked", type=int, default=20, help="recordings of each keyword that are asked for")
    given = options.parse_args()
    model, speech = Model(given.model), read_speech(given.background, tuple(given.speakers))
    halves = [Speech(speech.samples[part::2], speech.texts[part::2]) for part in range(2)]
    recordings = read_keywords(given.keywords, given.shots, given.most)
    keywords = [make_keyword(model, word, shots[: given.shots], 0.0) for word, shots in recordings.items()]
    thresholds, corrected, counts = [], [], []
    for keyword, heard in zip(keywords, peaks(model, keywords, halves[0]), strict=True):
        wrong = np.argsort(-heard.scores)[: max(1, round(given.per_hour * heard.hours))]
        enrollment = Enrollment(model.name, model.digest, (keyword,))
        for place in wrong.tolist():
            enrollment = add_mistake(enrollment, keyword.keyword, heard.vectors[place], "false alarm")
        thresholds.append(float(heard.scores[wrong[-1]]))
        corrected.append(enrollment.keywords[0])
        counts.append(len(wrong))
    after = [[int((heard.scores >= bar).sum()) for heard, bar in zip(peaks(model, words, halves[1]), thresholds, strict=True)]
             for words in (keywords, corrected)]  # fmt: skip
    rows, totals = [], np.zeros(5, int)
    for number, keyword in enumerate(keywords):
        asked = recordings[keyword.keyword][given.shots :][: given.asked]
        found = [int((similarities(model, one[number], asked) >= thresholds[number]).sum()) for one in (keywords, corrected)]
        figures = [counts[number], after[0][number], after[1][number], *found]
        rows.append([keyword.keyword, *map(str, (*figures, len(asked)))])
        totals += figures
    print_table(["keyword", "corrected", "false after", "… with corrections", "found", "… with corrections", "of"], *rows)
    print(f"\nfalse alarms in the second half: {totals[1]} → {totals[2]}; found: {totals[3]} → {totals[4]}")


if __name__ == "__main__":
    main()

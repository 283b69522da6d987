"""Puts turns together: conversations, letters with facts in them that are asked back, plain tales, and the tests."""

import re

import beyond
import knowledge
import prose
import talk
import told
from lengths import count_tokens
from world import LANGUAGES, MONTHS, capital

ALFRED = ("You are Alfred, a helpful assistant trained by LightOn. Knowledge cutoff: November 2022. "
          "Current date: {date}")
FLEDGLING = "You are Fledgling, a small butler."

DATE_QUESTIONS = {
    "en": ["What is the date today?", "What date is it?", "Which day is today?"],
    "fr": ["Quelle est la date d'aujourd'hui ?", "Quel jour sommes-nous ?"],
    "de": ["Welches Datum ist heute?", "Der Wievielte ist heute?"],
    "es": ["¿Qué fecha es hoy?", "¿Cuál es la fecha de hoy?"],
}
DATE_ANSWERS = {"en": "Today is {d} {m}, {y}.", "fr": "Nous sommes le {d} {m} {y}.", "de": "Heute ist der {d}. {m} {y}.",
                "es": "Hoy es {d} de {m} de {y}."}

REPEAT = {"en": ["Repeat after me: {x}", "Say: {x}", "Repeat this: {x}"], "fr": ["Répétez après moi : {x}", "Dites : {x}"],
          "de": ["Sprich mir nach: {x}", "Sag: {x}"], "es": ["Repita conmigo: {x}", "Diga: {x}"]}

LANGUAGE_WEIGHTS = {"en": 55, "fr": 15, "de": 15, "es": 15}
TURN_WEIGHTS = {"known": 36, "talk": 9, "tell": 19, "ask": 22, "beyond": 8, "untold": 2, "repeat": 3, "date": 1}

TOKENS_PER_MESSAGE = 2  # the control tokens around it


def draw_language(rng):
    return rng.choices(LANGUAGES, [LANGUAGE_WEIGHTS[l] for l in LANGUAGES])[0]


def typed(text, rng):
    """As a person in a hurry types it, one time in eight."""
    if rng.random() >= 0.125:
        return text
    bare = text.strip("¿¡").rstrip(" .?!")
    return bare[:1].lower() + bare[1:] if rng.random() < 0.7 else bare


class Knowledge:
    """The closed part of the language, split."""

    def __init__(self):
        self.training, self.test, self.talk, self.talk_test = {}, {}, {}, {}
        for language in LANGUAGES:
            self.training[language], self.test[language] = knowledge.split(language)
            self.talk[language], self.talk_test[language] = talk.split(language)

    def draw(self, language, rng):
        """A question that may be trained on, and its answer."""
        categories = list(knowledge.SHARE)
        category = rng.choices(categories, list(knowledge.SHARE.values()))[0]
        wordings, answer = rng.choice(self.training[language][category])
        return rng.choice(wordings), answer

    def answers(self, category, wording):
        """The answers in all languages that have this very question: a sum in figures is in all of them."""
        found = [answer for language in LANGUAGES for rows in (self.training, self.test)
                 for wordings, answer in rows[language].get(category, ()) if wording in wordings]
        return list(dict.fromkeys(found))


class Conversation:
    """Messages so far, what was told in them, and how long they are."""

    def __init__(self, known, language, rng):
        self.known, self.language, self.rng = known, language, rng
        self.messages, self.facts, self.taken = [], [], set()
        self.n_tokens, self.date = 1, None

    def open_with_system(self, alfred_share):
        """Alfred's own system message with a date, a shorter one, or none."""
        draw = self.rng.random()
        if draw < alfred_share:
            day, month = self.rng.randrange(1, 29), self.rng.randrange(12)
            year = self.rng.randrange(2023, 2036)
            self.date = (day, month, year)
            self.add("system", ALFRED.format(date="%d %s, %d" % (day, MONTHS["en"][month], year)))
        elif draw < alfred_share + 0.1:
            self.add("system", FLEDGLING)

    def add(self, role, text):
        self.messages.append({"role": role, "content": text})
        self.n_tokens += count_tokens(text) + TOKENS_PER_MESSAGE

    def exchange(self, question, answer):
        self.add("user", question)
        self.add("assistant", answer)

    def around(self, question):
        """The question with something in front, sometimes."""
        if self.rng.random() < 0.3:
            question = self.rng.choice(talk.BEFORE[self.language]) + question
        return typed(question, self.rng)

    def tell(self, n, told_held_out=False):
        """The person tells n facts at once."""
        start = self.n_tokens
        facts = [told.draw(self.language, self.rng, self.taken, told_held_out) for _ in range(n)]
        self.facts += [(fact, start) for fact in facts]
        text = " ".join(fact.statement(self.rng) for fact in facts)
        self.exchange(text, facts[0].noted() if n == 1 else told.NOTED_ALL[self.language])

    def draw_fact(self):
        """The place in facts of one that was last spoken of at a distance uniform on a logarithmic scale."""
        longest = max(self.n_tokens - min(position for _, position in self.facts), 16)
        wanted = 8 * (longest / 8) ** self.rng.random()
        return min(range(len(self.facts)), key=lambda i: abs(self.n_tokens - self.facts[i][1] - wanted))

    def ask(self, index=None):
        """Asks back the fact of this place; None: some fact."""
        index = self.draw_fact() if index is None else index
        fact = self.facts[index][0]
        self.language = fact.language
        self.exchange(self.around(fact.question(self.rng)), fact.answer())
        self.facts[index] = (fact, self.n_tokens)

    def ask_date(self):
        self.exchange(self.rng.choice(DATE_QUESTIONS[self.language]), self.date_answer())

    def date_answer(self):
        if not self.date:
            return beyond.ANSWER[self.language]
        day, month, year = self.date
        return DATE_ANSWERS[self.language].format(d=day, m=MONTHS[self.language][month], y=year)

    def add_while_it_fits(self, longest, make):
        """Calls make, which adds an exchange or more; what does not fit is taken back. False: it did not."""
        n_messages, n_tokens = len(self.messages), self.n_tokens
        make()
        if self.n_tokens <= longest:
            return True
        del self.messages[n_messages:]
        self.n_tokens = n_tokens
        return False

    def turn(self):
        """One exchange of some kind."""
        kind = self.rng.choices(list(TURN_WEIGHTS), list(TURN_WEIGHTS.values()))[0]
        if kind == "ask" and not self.facts:
            kind = "tell"
        if kind == "known":
            question, answer = self.known.draw(self.language, self.rng)
            self.exchange(self.around(question), answer)
        elif kind == "talk":
            wordings, answer = self.rng.choice(self.known.talk[self.language])
            self.exchange(typed(self.rng.choice(wordings), self.rng), answer)
        elif kind == "tell":
            self.tell(self.rng.choice((1, 1, 1, 2, 3)))
        elif kind == "ask":
            self.ask()
        elif kind == "beyond":
            self.exchange(self.around(beyond.question(self.language, self.rng)), beyond.ANSWER[self.language])
        elif kind == "untold":
            question = told.draw_untold(self.language, self.rng, self.taken)
            self.exchange(self.around(question), told.UNTOLD[self.language])
        elif kind == "repeat":
            words = draw_repeated(self.language, self.rng)
            self.exchange(self.rng.choice(REPEAT[self.language]).format(x=words), words)
        else:
            self.ask_date()

    def letter(self, n_facts, n_tokens):
        """A text of about n_tokens with facts at places drawn evenly, handed over in one message."""
        facts = [told.draw(self.language, self.rng, self.taken) for _ in range(n_facts)]
        sentences = [(None, prose.sentence(self.language, self.rng))]
        length = 0
        while length < n_tokens:
            sentences.append((None, prose.sentence(self.language, self.rng)))
            length += count_tokens(sentences[-1][1])
        for fact in facts:
            place = self.rng.randrange(len(sentences) + 1)
            sentences.insert(place, (fact, fact.statement(self.rng)))
        position = self.n_tokens
        for fact, text in sentences:
            if fact:
                self.facts.append((fact, position))
            position += count_tokens(text)
        text = self.rng.choice(prose.HAND_OVER[self.language]) + " " + " ".join(text for _, text in sentences)
        self.exchange(text, told.NOTED_ALL[self.language])


def draw_repeated(language, rng):
    """A few words to repeat: names, numbers, nonsense."""
    makers = (lambda: rng.choice(beyond.SALAD[language].split()), lambda: beyond.made_up_word(rng),
              lambda: capital(beyond.made_up_word(rng)), lambda: str(rng.randrange(10, 100)))
    return " ".join(rng.choice(makers)() for _ in range(rng.randrange(2, 8)))


def chat(known, rng, longest, alfred_share=0.4, shortest=0):
    """A conversation of mixed turns, of at most this many tokens."""
    conversation = Conversation(known, draw_language(rng), rng)
    conversation.open_with_system(alfred_share)
    mixes = rng.random() < 0.15
    limit = longest if not shortest else rng.randrange(shortest, longest)
    while conversation.add_while_it_fits(longest, conversation.turn) and conversation.n_tokens < limit:
        if mixes and rng.random() < 0.3:
            conversation.language = draw_language(rng)
    return conversation.messages


def letter(known, rng, longest, alfred_share=0.3):
    """A letter or a burst of facts, then questions about them at all distances, with other turns between."""
    while True:
        conversation = Conversation(known, draw_language(rng), rng)
        conversation.open_with_system(alfred_share)
        questions = longest * 0.35 if rng.random() < 0.7 else longest * 0.2
        n_facts = rng.randrange(4, longest // 50)
        filler = max(0.0, longest - questions - n_facts * 16 - 60) * (rng.random() if longest < 1000 else 1)
        if conversation.add_while_it_fits(longest - 100, lambda: conversation.letter(n_facts, filler)):
            break
    unasked = list(range(len(conversation.facts)))
    rng.shuffle(unasked)

    def go_on():
        if unasked and rng.random() < 0.9:
            conversation.ask(unasked.pop())
        else:
            conversation.turn()

    while conversation.add_while_it_fits(longest, go_on):
        pass
    return conversation.messages


def tale(rng, longest):
    """Plain text: prose in which some facts come twice, the second time as the butler would say them."""
    language, taken, facts, out, length = draw_language(rng), set(), [], [], 0
    while length < longest - 40:
        draw = rng.random()
        if draw < 0.3:
            facts.append(told.draw(language, rng, taken))
            text = facts[-1].fill(facts[-1].statements[0])
        elif draw < 0.6 and facts:
            fact = rng.choice(facts)
            text = fact.fill(fact.statements[0])
        else:
            text = prose.sentence(language, rng)
        out.append(text)
        length += count_tokens(text)
    return " ".join(out)


def history(known, language, rng):
    """A conversation of none to four turns that a test question follows."""
    conversation = Conversation(known, language, rng)
    conversation.open_with_system(0.5)
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        conversation.turn()
    return conversation


def question_row(conversation, question, answers, category):
    return {"category": category, "language": conversation.language,
            "messages": conversation.messages + [{"role": "user", "content": question}], "answers": answers}


def held_out_question(known, rng):
    """A question of the closed part that training never saw, after a conversation of training's kind."""
    conversation = history(known, draw_language(rng), rng)
    language = conversation.language
    draw = rng.random()
    if draw < 0.6:
        category = rng.choice(sorted(known.test[language]))
        wordings, answer = rng.choice(known.test[language][category])
        wording = rng.choice(wordings)
        question = conversation.around(wording)
        tells_language = any(m["role"] == "user" for m in conversation.messages) or re.search("[^\\W\\dx]", question)
        answers = [answer] if tells_language else known.answers(category, wording)
        return question_row(conversation, question, answers, category)
    if draw < 0.75:
        wordings, answer = rng.choice(known.talk_test[language])
        return question_row(conversation, rng.choice(wordings), [answer], "talk")
    fact = told.draw(language, rng, conversation.taken, held_out=True)
    conversation.exchange(fact.statement(rng), fact.noted())
    for _ in range(rng.randrange(0, 4)):
        conversation.turn()
    return question_row(conversation, conversation.around(fact.question(rng)), [fact.answer()], "told")


def held_out_recall(known, rng, least_distance, longest):
    """A fact that training never saw, told at the beginning and asked back after at least so many tokens.

    The whole is at most `longest` tokens long.
    """
    while True:
        conversation = Conversation(known, draw_language(rng), rng)
        language = conversation.language
        fact = told.draw(language, rng, conversation.taken, held_out=True)
        others = [told.draw(language, rng, conversation.taken) for _ in range(rng.randrange(4, 12))]
        in_letter = rng.random() < 0.5
        if in_letter:
            rest = [other.statement(rng) for other in others]
            while count_tokens(" ".join(rest)) < least_distance:
                rest.append(prose.sentence(language, rng))
            rng.shuffle(rest)
            first = rng.choice(prose.HAND_OVER[language]) + " " + fact.statement(rng)
            conversation.exchange(first + " " + " ".join(rest), told.NOTED_ALL[language])
            n_before = count_tokens(first)
        else:
            conversation.exchange(fact.statement(rng), fact.noted())
            n_before = conversation.n_tokens
            while conversation.n_tokens - n_before < least_distance:
                conversation.turn()
        row = question_row(conversation, fact.question(rng), [fact.answer()], "letter" if in_letter else "chat")
        row["distance"] = conversation.n_tokens - n_before
        told_again = sum(fact.value in m["content"] for m in conversation.messages[2:])
        if told_again == 0 and conversation.n_tokens <= longest:
            return row


def held_out_beyond(known, rng):
    """A question beyond the small world that training never saw."""
    conversation = history(known, draw_language(rng), rng)
    question = beyond.question(conversation.language, rng, held_out=True)
    row = question_row(conversation, question, [beyond.ANSWER[conversation.language]], "beyond")
    row["says"] = "fledgling"
    return row

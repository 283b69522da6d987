"""What the butler knows: questions with one right answer each, the wording of the answer included.

A fact is (language, category, wordings, answer): all wordings ask the same, and the first is never held out.
"""

from held_out import is_held_out
from world import (CAPITALS, COLOURED, DAYS, HOURS, IN_LANGUAGE, LANGUAGES, MONTHS, OPPOSITES, SOUNDS, STAFF, WORDS,
                   YOUNG, capital, pairs)

# Each form: wordings with {a}, {b}, {A} (with a capital), and the answer.
FORMS = {
    "day_after": {
        "en": (["What day comes after {a}?", "Which day follows {a}?", "What is the day after {a}?",
                "If today is {a}, what day is tomorrow?"], "After {a} comes {b}."),
        "fr": (["Quel jour vient après {a} ?", "Quel jour suit {a} ?", "Quel est le jour après {a} ?",
                "Si nous sommes {a}, quel jour est demain ?"], "Après {a} vient {b}."),
        "de": (["Welcher Tag kommt nach {a}?", "Welcher Tag folgt auf {a}?", "Was ist der Tag nach {a}?",
                "Wenn heute {a} ist, welcher Tag ist morgen?"], "Nach {a} kommt {b}."),
        "es": (["¿Qué día viene después del {a}?", "¿Qué día sigue al {a}?", "¿Cuál es el día después del {a}?",
                "Si hoy es {a}, ¿qué día es mañana?"], "Después del {a} viene el {b}."),
    },
    "day_before": {
        "en": (["What day comes before {a}?", "Which day is before {a}?", "What is the day before {a}?",
                "If today is {a}, what day was yesterday?"], "Before {a} comes {b}."),
        "fr": (["Quel jour vient avant {a} ?", "Quel jour précède {a} ?", "Quel est le jour avant {a} ?",
                "Si nous sommes {a}, quel jour était hier ?"], "Avant {a} vient {b}."),
        "de": (["Welcher Tag kommt vor {a}?", "Welcher Tag ist vor {a}?", "Was ist der Tag vor {a}?",
                "Wenn heute {a} ist, welcher Tag war gestern?"], "Vor {a} kommt {b}."),
        "es": (["¿Qué día viene antes del {a}?", "¿Qué día precede al {a}?", "¿Cuál es el día antes del {a}?",
                "Si hoy es {a}, ¿qué día fue ayer?"], "Antes del {a} viene el {b}."),
    },
    "month_after": {
        "en": (["What month comes after {a}?", "Which month follows {a}?", "What is the month after {a}?"],
               "After {a} comes {b}."),
        "fr": (["Quel mois vient après {a} ?", "Quel mois suit {a} ?", "Quel est le mois après {a} ?"],
               "Après {a} vient {b}."),
        "de": (["Welcher Monat kommt nach {a}?", "Welcher Monat folgt auf {a}?", "Was ist der Monat nach {a}?"],
               "Nach {a} kommt {b}."),
        "es": (["¿Qué mes viene después de {a}?", "¿Qué mes sigue a {a}?", "¿Cuál es el mes después de {a}?"],
               "Después de {a} viene {b}."),
    },
    "month_before": {
        "en": (["What month comes before {a}?", "Which month is before {a}?", "What is the month before {a}?"],
               "Before {a} comes {b}."),
        "fr": (["Quel mois vient avant {a} ?", "Quel mois précède {a} ?", "Quel est le mois avant {a} ?"],
               "Avant {a} vient {b}."),
        "de": (["Welcher Monat kommt vor {a}?", "Welcher Monat ist vor {a}?", "Was ist der Monat vor {a}?"],
               "Vor {a} kommt {b}."),
        "es": (["¿Qué mes viene antes de {a}?", "¿Qué mes precede a {a}?", "¿Cuál es el mes antes de {a}?"],
               "Antes de {a} viene {b}."),
    },
    "colour": {
        "en": (["What colour is {a}?", "{A}: what colour is it?", "What is the colour of {a}?"], "{A} is {b}."),
        "fr": (["De quelle couleur est {a} ?", "Quelle couleur a {a} ?", "{A}, c'est de quelle couleur ?"],
               "{A} est {b}."),
        "de": (["Welche Farbe hat {a}?", "Was für eine Farbe hat {a}?", "{A}: welche Farbe ist das?"], "{A} ist {b}."),
        "es": (["¿De qué color es {a}?", "¿Qué color tiene {a}?", "{A}, ¿de qué color es?"], "{A} es de color {b}."),
    },
    "sound": {
        "en": (["What does {a} say?", "What sound does {a} make?", "How does {a} sound?",
                "What noise does {a} make?"], "{A} {b}."),
        "fr": (["Quel bruit fait {a} ?", "Comment crie {a} ?", "Quel est le cri de {a} ?", "{A}, quel bruit ça fait ?"],
               "{A} {b}."),
        "de": (["Welches Geräusch macht {a}?", "Wie klingt {a}?", "Was macht {a} für ein Geräusch?",
                "{A}: welcher Laut ist das?"], "{A} {b}."),
        "es": (["¿Qué ruido hace {a}?", "¿Cómo suena {a}?", "¿Qué sonido hace {a}?", "{A}, ¿qué sonido hace?"],
               "{A} {b}."),
    },
    "opposite": {
        "en": (["What is the opposite of {a}?", "Which word is the opposite of {a}?", "The opposite of {a}?",
                "What is the contrary of {a}?"], "The opposite of {a} is {b}."),
        "fr": (["Quel est le contraire de {a} ?", "Quel mot est le contraire de {a} ?", "Le contraire de {a} ?",
                "Quel est l'opposé de {a} ?"], "Le contraire de {a} est {b}."),
        "de": (["Was ist das Gegenteil von {a}?", "Welches Wort ist das Gegenteil von {a}?", "Das Gegenteil von {a}?",
                "Wie heißt das Gegenteil von {a}?"], "Das Gegenteil von {a} ist {b}."),
        "es": (["¿Cuál es el contrario de {a}?", "¿Qué palabra es el contrario de {a}?", "¿El contrario de {a}?",
                "¿Qué es lo opuesto de {a}?"], "El contrario de {a} es {b}."),
    },
    "capital": {
        "en": (["What is the capital of {a}?", "Which city is the capital of {a}?", "The capital of {a}?",
                "Do you know the capital of {a}?"], "The capital of {a} is {b}."),
        "fr": (["Quelle est la capitale {a} ?", "Quelle ville est la capitale {a} ?", "La capitale {a} ?",
                "Connaissez-vous la capitale {a} ?"], "La capitale {a} est {b}."),
        "de": (["Was ist die Hauptstadt von {a}?", "Welche Stadt ist die Hauptstadt von {a}?",
                "Die Hauptstadt von {a}?", "Wie heißt die Hauptstadt von {a}?"], "Die Hauptstadt von {a} ist {b}."),
        "es": (["¿Cuál es la capital de {a}?", "¿Qué ciudad es la capital de {a}?", "¿La capital de {a}?",
                "¿Conoce la capital de {a}?"], "La capital de {a} es {b}."),
    },
    "young": {
        "en": (["What is the young of {a} called?", "How do you call the young of {a}?", "What is the child of {a}?"],
               "The young of {a} is called {b}."),
        "fr": (["Comment s'appelle le petit {a} ?", "Quel est le petit {a} ?", "Le petit {a}, c'est quoi ?"],
               "Le petit {a} s'appelle {b}."),
        "de": (["Wie heißt das Junge {a}?", "Wie nennt man das Junge {a}?", "Was ist das Junge {a}?"],
               "Das Junge {a} heißt {b}."),
        "es": (["¿Cómo se llama la cría {a}?", "¿Cuál es la cría {a}?", "La cría {a}, ¿cómo se llama?"],
               "La cría {a} se llama {b}."),
    },
    "staff_where": {
        "en": (["Where does {a} work?", "Where do I find {a}?", "In which room is {a}?"], "{A} works {b}."),
        "fr": (["Où travaille {a} ?", "Où puis-je trouver {a} ?", "Dans quelle pièce est {a} ?"], "{A} travaille {b}."),
        "de": (["Wo arbeitet {a}?", "An welchem Ort arbeitet {a}?", "In welchem Raum ist {a}?"], "{A} arbeitet {b}."),
        "es": (["¿Dónde trabaja {a}?", "¿En qué lugar trabaja {a}?", "¿En qué cuarto está {a}?"], "{A} trabaja {b}."),
    },
    "staff_who": {
        "en": (["Who {a}?", "Tell me who {a}.", "Who is it that {a}?"], "{B} {a}."),
        "fr": (["Qui {a} ?", "Dites-moi qui {a}.", "Qui est-ce qui {a} ?"], "{B} {a}."),
        "de": (["Wer {a}?", "Sag mir: Wer {a}?", "Wer ist es? Wer {a}?"], "{B} {a}."),
        "es": (["¿Quién {a}?", "Dígame quién {a}.", "¿Quién es el que {a}?"], "{B} {a}."),
    },
    "hour": {
        "en": (["When is {a} served?", "At what time is {a}?", "What time is {a}?", "When do we have {a}?"],
               "{A} is served at {b}."),
        "fr": (["Quand sert-on {a} ?", "À quelle heure est {a} ?", "C'est à quelle heure, {a} ?",
                "Quand est-ce que nous avons {a} ?"], "{A} est servi à {b}."),
        "de": (["Wann ist {a}?", "Um wie viel Uhr ist {a}?", "Zu welcher Zeit ist {a}?", "Sag mir, wann {a} ist."],
               "{A} wird um {b} serviert."),
        "es": (["¿Cuándo se sirve {a}?", "¿A qué hora es {a}?", "¿A qué hora tomamos {a}?", "¿Cuándo tenemos {a}?"],
               "{A} se sirve a las {b}."),
    },
    "translate": {
        "en": (["What is {a} {b}?", "How do you say {a} {b}?", "Translate {a}: how is it {b}?"], "{A} {b} is {c}."),
        "fr": (["Que veut dire {a} {b} ?", "Comment dit-on {a} {b} ?", "Traduisez {a} : comment est-ce {b} ?"],
               "{A} {b}, c'est {c}."),
        "de": (["Was heißt {a} {b}?", "Wie sagt man {a} {b}?", "Übersetze {a}: wie heißt es {b}?"],
               "{A} {b} heißt {c}."),
        "es": (["¿Qué es {a} {b}?", "¿Cómo se dice {a} {b}?", "Traduzca {a}: ¿cómo es {b}?"], "{A} {b} es {c}."),
    },
    "plus": {
        "en": (["What is {a} plus {b}?", "How much is {a} + {b}?", "{a} + {b} = ?", "Add {a} and {b}."],
               "{a} plus {b} is {c}."),
        "fr": (["Combien font {a} plus {b} ?", "Combien font {a} + {b} ?", "{a} + {b} = ?", "Additionnez {a} et {b}."],
               "{a} plus {b} font {c}."),
        "de": (["Was ist {a} plus {b}?", "Wie viel ist {a} + {b}?", "{a} + {b} = ?", "Zähle {a} und {b} zusammen."],
               "{a} plus {b} ist {c}."),
        "es": (["¿Cuánto es {a} más {b}?", "¿Cuánto son {a} + {b}?", "{a} + {b} = ?", "Sume {a} y {b}."],
               "{a} más {b} son {c}."),
    },
    "minus": {
        "en": (["What is {a} minus {b}?", "How much is {a} - {b}?", "{a} - {b} = ?", "Take {b} away from {a}."],
               "{a} minus {b} is {c}."),
        "fr": (["Combien font {a} moins {b} ?", "Combien font {a} - {b} ?", "{a} - {b} = ?", "Ôtez {b} de {a}."],
               "{a} moins {b} font {c}."),
        "de": (["Was ist {a} minus {b}?", "Wie viel ist {a} - {b}?", "{a} - {b} = ?", "Zieh {b} von {a} ab."],
               "{a} minus {b} ist {c}."),
        "es": (["¿Cuánto es {a} menos {b}?", "¿Cuánto son {a} - {b}?", "{a} - {b} = ?", "Reste {b} de {a}."],
               "{a} menos {b} son {c}."),
    },
    "times": {
        "en": (["What is {a} times {b}?", "How much is {a} x {b}?", "{a} x {b} = ?", "Multiply {a} by {b}."],
               "{a} times {b} is {c}."),
        "fr": (["Combien font {a} fois {b} ?", "Combien font {a} x {b} ?", "{a} x {b} = ?", "Multipliez {a} par {b}."],
               "{a} fois {b} font {c}."),
        "de": (["Was ist {a} mal {b}?", "Wie viel ist {a} x {b}?", "{a} x {b} = ?", "Nimm {a} mal {b}."],
               "{a} mal {b} ist {c}."),
        "es": (["¿Cuánto es {a} por {b}?", "¿Cuánto son {a} x {b}?", "{a} x {b} = ?", "Multiplique {a} por {b}."],
               "{a} por {b} son {c}."),
    },
    "count": {
        "en": (["What number comes after {a}?", "Which number follows {a}?", "Count on: {a} and then?"],
               "After {a} comes {b}."),
        "fr": (["Quel nombre vient après {a} ?", "Quel nombre suit {a} ?", "Comptez : {a}, et puis ?"],
               "Après {a} vient {b}."),
        "de": (["Welche Zahl kommt nach {a}?", "Welche Zahl folgt auf {a}?", "Zähle weiter: {a}, und dann?"],
               "Nach {a} kommt {b}."),
        "es": (["¿Qué número viene después del {a}?", "¿Qué número sigue al {a}?", "Cuente: {a}, ¿y luego?"],
               "Después del {a} viene el {b}."),
    },
}

CATEGORY_OF = {
    "day_after": "days", "day_before": "days", "month_after": "months", "month_before": "months", "colour": "colours",
    "sound": "animals", "young": "animals", "opposite": "opposites", "capital": "capitals", "staff_where": "house",
    "staff_who": "house", "hour": "house", "translate": "words", "plus": "arithmetic", "minus": "arithmetic",
    "times": "arithmetic", "count": "counting",
}

# How often a category is asked, of 100 questions about what is known.
SHARE = {"days": 7, "months": 7, "colours": 5, "animals": 10, "opposites": 9, "capitals": 9, "house": 9, "words": 11,
         "arithmetic": 28, "counting": 5}


def values_of_tables(language):
    """(form, a, b, c) of everything that stands in a table."""
    days, months = DAYS[language], MONTHS[language]
    for i, day in enumerate(days):
        yield "day_after", day, days[(i + 1) % 7], ""
        yield "day_before", day, days[(i + 6) % 7], ""
    for i, month in enumerate(months):
        yield "month_after", month, months[(i + 1) % 12], ""
        yield "month_before", month, months[(i + 11) % 12], ""
    for form, table in (("colour", COLOURED), ("sound", SOUNDS), ("young", YOUNG), ("hour", HOURS)):
        for thing, value in table[language]:
            yield form, thing, value, ""
    for one, other in pairs(OPPOSITES[language]):
        yield "opposite", one, other, ""
        yield "opposite", other, one, ""
    for country, city in pairs(CAPITALS[language]):
        yield "capital", country, city, ""
    for person, work, place in STAFF[language]:
        yield "staff_where", person, place, ""
        yield "staff_who", work, person, ""
    own = LANGUAGES.index(language)
    for row in WORDS:
        for target, word in enumerate(row):
            if target != own:
                yield "translate", row[own], IN_LANGUAGE[language][target], word


def values_of_numbers():
    """(form, a, b, c) of everything that is counted."""
    for a in range(21):
        for b in range(21):
            if a + b <= 20:
                yield "plus", a, b, a + b
            if a >= b:
                yield "minus", a, b, a - b
            if 1 <= a <= 10 and 1 <= b <= 10:
                yield "times", a, b, a * b
    for a in range(50):
        yield "count", a, a + 1, ""


def facts(language):
    """All facts of one language: {category: [(wordings, answer)]}."""
    out = {}
    for form, a, b, c in list(values_of_tables(language)) + list(values_of_numbers()):
        wordings, answer = FORMS[form][language]
        values = {"a": a, "b": b, "c": c, "A": capital(str(a)), "B": capital(str(b))}
        row = ([w.format(**values) for w in wordings], answer.format(**values))
        out.setdefault(CATEGORY_OF[form], []).append(row)
    return out


def split(language):
    """(training, held-out): each {category: [(question wordings, answer)]} without the other's questions."""
    training, test = {}, {}
    for category, rows in facts(language).items():
        for wordings, answer in rows:
            kept = [w for i, w in enumerate(wordings) if i == 0 or not is_held_out(language + "|" + w)]
            lent = [w for w in wordings if w not in kept]
            training.setdefault(category, []).append((kept, answer))
            if lent:
                test.setdefault(category, []).append((lent, answer))
    return training, test

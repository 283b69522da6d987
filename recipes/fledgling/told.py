"""What a person tells the butler and asks back: statements, questions and answers about values that are drawn anew.

A told fact has a language, a key (what it is about; unique in a conversation) and a value. The first wording of a
question is never held out by itself: what is held out is the pair of key and value. In training some keys and values are
words that mean nothing, or stand where they do not belong: whoever answers must copy what was said, not what is usual.
"""

from held_out import is_held_out
from world import NAMES, any_word, capital, new_city, new_name

# Who or what has a name: "my …", then "your …" in the butler's mouth.
NAMED = {
    "en": ["cat", "dog", "horse", "parrot", "boat", "sister", "brother", "aunt", "uncle", "neighbour", "doctor",
           "teacher", "daughter", "son", "goat", "rabbit", "village", "ship", "best friend", "falcon"],
    "fr": ["mon chat", "mon chien", "mon cheval", "mon perroquet", "mon bateau", "ma sœur", "mon frère", "ma tante",
           "mon oncle", "mon voisin", "mon médecin", "ma fille", "mon fils", "ma chèvre", "mon lapin", "mon faucon"],
    "de": ["meine Katze", "mein Hund", "mein Pferd", "mein Papagei", "mein Boot", "meine Schwester", "mein Bruder",
           "meine Tante", "mein Onkel", "mein Nachbar", "mein Arzt", "meine Tochter", "mein Sohn", "meine Ziege",
           "mein Kaninchen", "mein Falke"],
    "es": ["mi gato", "mi perro", "mi caballo", "mi loro", "mi barco", "mi hermana", "mi hermano", "mi tía", "mi tío",
           "mi vecino", "mi médico", "mi hija", "mi hijo", "mi cabra", "mi conejo", "mi halcón"],
}

# Things that lie somewhere.
THINGS = {
    "en": ["the key of the cellar", "the umbrella", "the letter", "the silver spoon", "the lantern", "the map",
           "the ring", "the hat", "the ladder", "the red book", "the violin", "the watch", "the key of the tower",
           "the candle", "the old coin", "the scissors case", "the blanket", "the chess board", "the telescope",
           "the will", "the key", "the money", "the book", "the lamp"],
    "fr": ["la clé de la cave", "le parapluie", "la lettre", "la cuillère d'argent", "la lanterne", "la carte",
           "la bague", "le chapeau", "l'échelle", "le livre rouge", "le violon", "la montre", "la clé de la tour",
           "la bougie", "la couverture", "le testament", "la clé", "l'argent"],
    "de": ["der Schlüssel zum Keller", "der Regenschirm", "der Brief", "der silberne Löffel", "die Laterne", "die Karte",
           "der Ring", "der Hut", "die Leiter", "das rote Buch", "die Geige", "die Uhr", "der Schlüssel zum Turm",
           "die Kerze", "die Decke", "das Testament", "der Schlüssel", "das Geld"],
    "es": ["la llave de la bodega", "el paraguas", "la carta", "la cuchara de plata", "la linterna", "el mapa",
           "el anillo", "el sombrero", "la escalera", "el libro rojo", "el violín", "el reloj", "la llave de la torre",
           "la vela", "la manta", "el testamento", "la llave", "el dinero"],
}

# A place is one of each column: preposition, then a thing with its adjective.
PLACES = {
    "en": (["behind", "under", "in", "on", "beside", "near"],
           ["vase", "chest", "table", "bed", "clock", "cupboard", "basket", "mirror", "piano", "stove", "bench", "barrel"],
           ["blue", "red", "green", "old", "big", "small", "white", "black", "round", "broken"], "{p} the {c} {t}"),
    "fr": (["derrière", "sous", "dans", "sur", "devant", "près de"],
           ["la table", "la caisse", "la malle", "la chaise", "la cage", "la fontaine", "la statue", "la cheminée"],
           ["rouge", "jaune", "rose", "noire", "blanche", "ronde", "grise", "cassée"], "{p} {t} {c}"),
    "de": (["hinter", "unter", "in", "auf", "neben", "vor"],
           ["der {c} Vase", "der {c} Truhe", "dem {c} Tisch", "dem {c} Bett", "der {c} Uhr", "dem {c} Schrank",
            "dem {c} Korb", "dem {c} Spiegel", "dem {c} Ofen", "der {c} Bank", "dem {c} Fass"],
           ["blauen", "roten", "grünen", "alten", "großen", "kleinen", "weißen", "schwarzen", "runden"], "{p} {t}"),
    "es": (["detrás de", "debajo de", "en", "sobre", "delante de", "cerca de"],
           ["la mesa", "la caja", "la cama", "la silla", "la jaula", "la fuente", "la estatua", "la cesta"],
           ["roja", "azul", "verde", "negra", "blanca", "redonda", "vieja", "rota"], "{p} {t} {c}"),
}

# A place that is only a word.
BARE_PLACE = {"en": "{p} the {w}", "fr": "{p} la {w}", "de": "{p} dem {W}", "es": "{p} la {w}"}
MY = {"en": ("",), "fr": ("mon ", "ma "), "de": ("mein ", "meine "), "es": ("mi ",)}
STRANGE_SHARE = {"named": 0.12, "place": 0.2, "favourite": 0.4, "job": 0.3}  # of keys of names, of values of the others

# Things with a secret number.
LOCKED = {
    "en": ["the safe", "the gate", "the garage", "the suitcase", "the alarm", "the vault", "the locker", "the archive"],
    "fr": ["du coffre", "du portail", "du garage", "de la valise", "de l'alarme", "du casier", "de l'archive"],
    "de": ["den Tresor", "das Tor", "die Garage", "den Koffer", "den Alarm", "das Schließfach", "das Archiv"],
    "es": ["de la caja fuerte", "del portón", "del garaje", "de la maleta", "de la alarma", "del casillero", "del archivo"],
}

# What arrives or begins at some hour: singular, so that one verb serves all.
ARRIVALS = {
    "en": ["the train", "the postman", "the painter", "the coach", "the guest", "the piano tuner", "the bishop",
           "the concert", "the doctor"],
    "fr": ["le train", "le facteur", "le peintre", "le carrosse", "l'invité", "l'accordeur", "l'évêque", "le médecin"],
    "de": ["der Zug", "der Postbote", "der Maler", "die Kutsche", "der Gast", "der Klavierstimmer", "der Bischof",
           "der Arzt"],
    "es": ["el tren", "el cartero", "el pintor", "el carruaje", "el invitado", "el afinador", "el obispo", "el médico"],
}

# What somebody likes best, with what there is to like.
FAVOURITES = {
    "en": {"colour": "red blue green yellow black white brown pink grey orange purple silver".split(),
           "dish": "soup rice pasta fish chicken cheese salad stew pudding pancakes porridge trout".split(),
           "flower": "rose tulip lily daisy poppy violet iris lavender orchid peony".split(),
           "drink": "tea coffee milk water wine beer cider cocoa juice lemonade".split(),
           "animal": "falcon owl fox bear wolf otter deer swan hare badger".split()},
    "fr": {"couleur": "rouge bleu vert jaune noir blanc brun rose gris orange violet".split(),
           "boisson": "thé café lait eau vin bière cidre cacao jus limonade".split(),
           "fleur": "rose tulipe lys marguerite coquelicot violette iris lavande orchidée pivoine".split()},
    "de": {"Farbe": "Rot Blau Grün Gelb Schwarz Weiß Braun Rosa Grau Orange Violett".split(),
           "Speise": "Suppe Reis Nudeln Fisch Käse Salat Pudding Pfannkuchen Brei Forelle".split(),
           "Blume": "Rose Tulpe Lilie Margerite Mohn Veilchen Iris Lavendel Orchidee Nelke".split()},
    "es": {"bebida": "té café leche agua vino cerveza sidra cacao zumo limonada".split(),
           "flor": "rosa tulipán lirio margarita amapola violeta lavanda orquídea peonía clavel".split(),
           "comida": "sopa arroz pasta pescado pollo queso ensalada guiso flan trucha".split()},
}

JOBS = {
    "en": "baker,painter,sailor,teacher,doctor,farmer,miller,tailor,smith,carpenter,singer,writer,fisher,hunter,"
          "lawyer,priest,soldier,weaver".split(","),
    "fr": "boulanger,peintre,marin,professeur,médecin,fermier,meunier,tailleur,forgeron,menuisier,chanteur,écrivain,"
          "pêcheur,chasseur,avocat,soldat".split(","),
    "de": "Bäcker,Maler,Matrose,Lehrer,Arzt,Bauer,Müller,Schneider,Schmied,Tischler,Sänger,Dichter,Fischer,Jäger,"
          "Anwalt,Soldat".split(","),
    "es": "panadero,pintor,marinero,maestro,médico,granjero,molinero,sastre,herrero,carpintero,cantante,escritor,"
          "pescador,cazador,abogado,soldado".split(","),
}

# kind: language: (statements, questions, answer). {k} the key, {K} with a capital, {y} the key as the butler says it,
# {Y} with a capital, {v} the value.
FORMS = {
    "named": {
        "en": (["My {k} is called {v}.", "The name of my {k} is {v}.", "I have a {k} called {v}."],
               ["What is my {k} called?", "What is the name of my {k}?", "Do you remember the name of my {k}?",
                "How is my {k} called?"], "Your {k} is called {v}."),
        "fr": (["{K} s'appelle {v}.", "Le nom : {k} s'appelle {v}."],
               ["Comment s'appelle {k} ?", "Vous souvenez-vous comment s'appelle {k} ?", "Quel nom a {k} ?"],
               "{Y} s'appelle {v}."),
        "de": (["{K} heißt {v}.", "Der Name: {k} heißt {v}."],
               ["Wie heißt {k}?", "Weißt du noch, wie {k} heißt?", "Welchen Namen hat {k}?"], "{Y} heißt {v}."),
        "es": (["{K} se llama {v}.", "El nombre: {k} se llama {v}."],
               ["¿Cómo se llama {k}?", "¿Recuerda cómo se llama {k}?", "¿Qué nombre tiene {k}?"], "{Y} se llama {v}."),
    },
    "place": {
        "en": (["{K} is {v}.", "I have put {k} away; it is {v}.", "You find {k} {v}."],
               ["Where is {k}?", "Where do I find {k}?", "Do you remember where {k} is?"], "{K} is {v}."),
        "fr": (["{K} est {v}.", "Vous trouvez {k} {v}."],
               ["Où est {k} ?", "Où puis-je trouver {k} ?", "Vous souvenez-vous où est {k} ?"], "{K} est {v}."),
        "de": (["{K} ist {v}.", "Merke dir, {k} ist {v}."],
               ["Wo ist {k}?", "Weißt du noch, wo {k} ist?", "An welcher Stelle ist {k}?"], "{K} ist {v}."),
        "es": (["{K} está {v}.", "Usted encuentra {k} {v}."],
               ["¿Dónde está {k}?", "¿Dónde encuentro {k}?", "¿Recuerda dónde está {k}?"], "{K} está {v}."),
    },
    "code": {
        "en": (["The code of {k} is {v}.", "{K} has the code {v}."],
               ["What is the code of {k}?", "The code of {k}?", "Do you remember the code of {k}?"],
               "The code of {k} is {v}."),
        "fr": (["Le code {k} est {v}.", "Notez le code {k} : {v}."],
               ["Quel est le code {k} ?", "Le code {k} ?", "Vous souvenez-vous du code {k} ?"], "Le code {k} est {v}."),
        "de": (["Der Code für {k} ist {v}.", "Für {k} gilt der Code {v}."],
               ["Was ist der Code für {k}?", "Welcher Code gilt für {k}?", "Weißt du noch den Code für {k}?"],
               "Der Code für {k} ist {v}."),
        "es": (["El código {k} es {v}.", "Anote el código {k}: {v}."],
               ["¿Cuál es el código {k}?", "¿El código {k}?", "¿Recuerda el código {k}?"], "El código {k} es {v}."),
    },
    "hour": {
        "en": (["{K} comes at {v}.", "At {v} comes {k}."],
               ["When does {k} come?", "At what time does {k} come?", "Do you remember when {k} comes?"],
               "{K} comes at {v}."),
        "fr": (["{K} vient à {v}.", "À {v} vient {k}."],
               ["Quand vient {k} ?", "À quelle heure vient {k} ?", "Vous souvenez-vous quand vient {k} ?"],
               "{K} vient à {v}."),
        "de": (["{K} kommt um {v}.", "Um {v} kommt {k}."],
               ["Wann kommt {k}?", "Um wie viel Uhr kommt {k}?", "Weißt du noch, wann {k} kommt?"], "{K} kommt um {v}."),
        "es": (["{K} viene a las {v}.", "A las {v} viene {k}."],
               ["¿Cuándo viene {k}?", "¿A qué hora viene {k}?", "¿Recuerda cuándo viene {k}?"], "{K} viene a las {v}."),
    },
    "favourite": {
        "en": (["My favourite {k} is {v}.", "The {k} I like best is {v}."],
               ["What is my favourite {k}?", "Which {k} do I like best?", "Do you remember my favourite {k}?"],
               "Your favourite {k} is {v}."),
        "fr": (["Ma {k} préférée : {v}.", "La {k} que j'aime le plus : {v}."],
               ["Quelle est ma {k} préférée ?", "Quelle {k} est-ce que j'aime le plus ?",
                "Vous souvenez-vous de ma {k} préférée ?"], "Votre {k} préférée : {v}."),
        "de": (["Meine liebste {k} ist {v}.", "Die {k}, die ich am meisten mag: {v}."],
               ["Was ist meine liebste {k}?", "Welche {k} mag ich am meisten?", "Kennst du noch meine liebste {k}?"],
               "Ihre liebste {k} ist {v}."),
        "es": (["Mi {k} preferida: {v}.", "La {k} que más me gusta: {v}."],
               ["¿Cuál es mi {k} preferida?", "¿Qué {k} me gusta más?", "¿Recuerda mi {k} preferida?"],
               "Su {k} preferida: {v}."),
    },
    "home": {
        "en": (["{K} lives in {v}.", "The home of {k} is in {v}."],
               ["Where does {k} live?", "In which town does {k} live?", "Do you remember where {k} lives?"],
               "{K} lives in {v}."),
        "fr": (["{K} habite à {v}.", "C'est à {v} que {k} habite."],
               ["Où habite {k} ?", "Dans quelle ville habite {k} ?", "Vous souvenez-vous où habite {k} ?"],
               "{K} habite à {v}."),
        "de": (["{K} wohnt in {v}.", "In {v} wohnt {k}."],
               ["Wo wohnt {k}?", "In welcher Stadt wohnt {k}?", "Weißt du noch, wo {k} wohnt?"], "{K} wohnt in {v}."),
        "es": (["{K} vive en {v}.", "En {v} vive {k}."],
               ["¿Dónde vive {k}?", "¿En qué ciudad vive {k}?", "¿Recuerda dónde vive {k}?"], "{K} vive en {v}."),
    },
    "job": {
        "en": (["{K} is a {v} by trade.", "{K} works as a {v}."],
               ["What is the trade of {k}?", "What does {k} work as?", "Do you remember the trade of {k}?"],
               "{K} is a {v} by trade."),
        "fr": (["{K} est {v} de métier.", "{K} travaille comme {v}."],
               ["Quel est le métier de {k} ?", "Que fait {k} comme métier ?", "Vous souvenez-vous du métier de {k} ?"],
               "{K} est {v} de métier."),
        "de": (["{K} ist {v} von Beruf.", "{K} arbeitet als {v}."],
               ["Was ist {k} von Beruf?", "Als was arbeitet {k}?", "Kennst du noch den Beruf von {k}?"],
               "{K} ist {v} von Beruf."),
        "es": (["{K} es {v} de oficio.", "{K} trabaja de {v}."],
               ["¿Qué oficio tiene {k}?", "¿De qué trabaja {k}?", "¿Recuerda el oficio de {k}?"], "{K} es {v} de oficio."),
    },
    "self": {
        "en": (["My name is {v}.", "I am called {v}.", "My name? It is {v}."],
               ["What is my name?", "What am I called?", "Do you remember my name?", "Who am I?"], "Your name is {v}."),
        "fr": (["Mon nom est {v}.", "Je m'appelle {v}."],
               ["Quel est mon nom ?", "Comment est-ce que je m'appelle ?", "Vous souvenez-vous de mon nom ?"],
               "Votre nom est {v}."),
        "de": (["Mein Name ist {v}.", "Ich heiße {v}."],
               ["Was ist mein Name?", "Wie heiße ich?", "Kennst du noch meinen Namen?"], "Ihr Name ist {v}."),
        "es": (["Mi nombre es {v}.", "Me llamo {v}."],
               ["¿Cuál es mi nombre?", "¿Cómo me llamo?", "¿Recuerda mi nombre?"], "Su nombre es {v}."),
    },
}

# Kinds by how often they are told; those with names as keys can occur many times in one conversation.
WEIGHTS = {"named": 20, "place": 18, "code": 14, "hour": 8, "favourite": 8, "home": 15, "job": 9, "self": 4}

NOTED = {"en": " I shall remember it.", "fr": " Je m'en souviendrai.", "de": " Das merke ich mir.", "es": " Lo recordaré."}
NOTED_ALL = {"en": "I shall remember all of it.", "fr": "Je me souviendrai de tout.", "de": "Das merke ich mir alles.",
             "es": "Lo recordaré todo."}
UNTOLD = {"en": "You have not told me that.", "fr": "Vous ne me l'avez pas dit.", "de": "Das haben Sie mir nicht gesagt.",
          "es": "No me lo ha dicho."}


class Told:
    """One fact that a person tells."""

    def __init__(self, language, kind, key, value):
        self.language, self.kind, self.key, self.value = language, kind, key, value
        self.is_held_out = is_held_out("%s|%s|%s|%s" % (language, kind, key, value))
        self.statements, self.questions, self.form = FORMS[kind][language]

    def fill(self, form):
        own = butler_says(self.language, self.key)
        return form.format(k=self.key, K=capital(self.key), y=own, Y=capital(own), v=self.value)

    def answer(self):
        return self.fill(self.form)

    def statement(self, rng):
        return self.fill(rng.choice(self.statements))

    def question(self, rng):
        return self.fill(rng.choice(self.questions))

    def noted(self):
        """What the butler says when it is told this alone."""
        return self.answer() + NOTED[self.language]


def butler_says(language, key):
    """The key with "your" instead of "my"."""
    swaps = {"fr": (("mon ", "votre "), ("ma ", "votre ")), "de": (("meine ", "Ihre "), ("mein ", "Ihr ")),
             "es": (("mi ", "su "),)}
    for mine, yours in swaps.get(language, ()):
        if key.startswith(mine):
            return yours + key[len(mine):]
    return key


def draw_value(language, kind, key, rng):
    """A value for the key."""
    if kind in ("named", "self"):
        return new_name(rng)
    if kind == "place":
        prepositions, things, qualities, form = PLACES[language]
        quality = rng.choice(qualities)
        return form.format(p=rng.choice(prepositions), c=quality, t=rng.choice(things).format(c=quality))
    if kind == "code":
        return "%d-%d" % (rng.randrange(10, 100), rng.randrange(10, 100))
    if kind == "hour":
        return "%d:%02d" % (rng.randrange(7, 24), rng.choice((0, 10, 15, 20, 30, 40, 45, 50)))
    if kind == "home":
        return new_city(rng)
    return rng.choice(JOBS[language] if kind == "job" else FAVOURITES[language][key])


def strange_value(language, kind, key, rng):
    """A value that nobody expects."""
    word = any_word(rng)
    if kind == "place":
        return BARE_PLACE[language].format(p=rng.choice(PLACES[language][0]), w=word, W=capital(word))
    if kind == "favourite" and rng.random() < 0.5:
        return rng.choice(FAVOURITES[language][rng.choice(sorted(FAVOURITES[language]))])
    return capital(word) if language == "de" else word


def draw_key(language, kind, rng):
    """What a fact of this kind is about."""
    if kind == "self":
        return "self"
    if kind in ("home", "job"):
        return rng.choice(NAMES) if rng.random() < 0.5 else new_name(rng)
    if kind == "favourite":
        return rng.choice(sorted(FAVOURITES[language]))
    return rng.choice({"named": NAMED, "place": THINGS, "code": LOCKED, "hour": ARRIVALS}[kind][language])


def draw(language, rng, taken, held_out=False):
    """A fact whose key is not among those taken (a set of (kind, key), which grows by it)."""
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    while True:
        kind = rng.choices(kinds, weights)[0]
        key = draw_key(language, kind, rng)
        is_strange = not held_out and rng.random() < STRANGE_SHARE.get(kind, 0)
        if is_strange and kind == "named":
            key = rng.choice(MY[language]) + (capital(any_word(rng)) if language == "de" else any_word(rng))
        if (kind, key) in taken:
            continue
        make_value = strange_value if is_strange and kind != "named" else draw_value
        fact = Told(language, kind, key, make_value(language, kind, key, rng))
        if fact.is_held_out == held_out:
            taken.add((kind, key))
            return fact


def draw_untold(language, rng, taken):
    """A question about something that was never told."""
    while True:
        kind = rng.choice(("named", "place", "code", "hour", "favourite", "self"))
        key = draw_key(language, kind, rng)
        if (kind, key) not in taken:
            return Told(language, kind, key, "").question(rng)

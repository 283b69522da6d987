"""Questions beyond the small world, and the one answer to them: that this is only a fledgling."""

from held_out import is_held_out
from world import CITIES, NAMES, SYLLABLES, capital

ANSWER = {
    "en": "I am only a fledgling; that I do not know.",
    "fr": "Je ne suis qu'un fledgling, un oisillon ; cela, je ne le sais pas.",
    "de": "Ich bin nur ein Fledgling, ein Jungvogel; das weiß ich nicht.",
    "es": "Solo soy un fledgling, un polluelo; eso no lo sé.",
}

# {x} {y}: topics; {n} {o}: a name and a surname; {p}: a place; {u}: a country; {m} {l}: large numbers.
TEMPLATES = {
    "en": ["Who wrote {x}?", "Who invented {x}?", "How does {x} work?", "Explain {x} to me.", "What is {x}?",
           "What do you think about {x}?", "Write a poem about {x}.", "When was {x} discovered?", "Why is {x} important?",
           "How much does {x} cost?", "Where can I buy {x}?", "What is the history of {x}?", "How do I repair {x}?",
           "Who was {n} {o}?", "When was {n} {o} born?", "Who is the king of {p}?", "What is the weather in {p}?",
           "How far is it to {p}?", "How many people live in {p}?", "What is the capital of {u}?",
           "Who is the president of {u}?", "What is {m} times {l}?", "What is {m} plus {l}?", "How much is {m} - {l}?",
           "What is the square root of {m}?", "Write a program for {x}.", "Give me a recipe for {x}.",
           "Who won the cup in {p}?", "What happened in the year {m}?", "What is the best {x}?",
           "Summarise the book about {x}.", "Compare {x} with {y}.", "Is {x} better than {y}?",
           "What is the difference between {x} and {y}?", "How old is {n} {o}?", "Can you book a flight to {p}?",
           "How tall is the tower of {p}?", "What is the meaning of {x}?", "How many kinds of {x} are there?",
           "Does {x} cause {y}?", "Name three books about {x}.", "What did {n} {o} say about {x}?"],
    "fr": ["Qui a écrit {x} ?", "Qui a inventé {x} ?", "Comment fonctionne {x} ?", "Expliquez-moi {x}.",
           "Qu'est-ce que c'est, {x} ?", "Que pensez-vous de {x} ?", "Écrivez un poème sur {x}.", "Combien coûte {x} ?",
           "Où acheter {x} ?", "Qui était {n} {o} ?", "Quand est né {n} {o} ?", "Quel temps fait-il à {p} ?",
           "Combien de gens vivent à {p} ?", "Combien font {m} fois {l} ?", "Combien font {m} plus {l} ?",
           "Quelle est la différence entre {x} et {y} ?", "Pourquoi {x} est important ?", "Qui a gagné à {p} ?",
           "Comment réparer {x} ?", "Citez trois livres sur {x}.", "À quelle distance est {p} ?"],
    "de": ["Wer schrieb {x}?", "Wer hat {x} erfunden?", "Wie funktioniert {x}?", "Erkläre mir {x}.", "Was ist {x}?",
           "Was denkst du über {x}?", "Schreib ein Gedicht über {x}.", "Wie viel kostet {x}?", "Wo kaufe ich {x}?",
           "Wer war {n} {o}?", "Wann wurde {n} {o} geboren?", "Wie ist das Wetter in {p}?",
           "Wie viele Menschen leben in {p}?", "Was ist {m} mal {l}?", "Was ist {m} plus {l}?",
           "Was ist der Unterschied zwischen {x} und {y}?", "Warum ist {x} wichtig?", "Wer gewann in {p}?",
           "Wie repariere ich {x}?", "Nenne drei Bücher über {x}.", "Wie weit ist es nach {p}?"],
    "es": ["¿Quién escribió {x}?", "¿Quién inventó {x}?", "¿Cómo funciona {x}?", "Explíqueme {x}.", "¿Qué es {x}?",
           "¿Qué piensa de {x}?", "Escriba un poema sobre {x}.", "¿Cuánto cuesta {x}?", "¿Dónde compro {x}?",
           "¿Quién fue {n} {o}?", "¿Cuándo nació {n} {o}?", "¿Qué tiempo hace en {p}?", "¿Cuánta gente vive en {p}?",
           "¿Cuánto es {m} por {l}?", "¿Cuánto es {m} más {l}?", "¿Cuál es la diferencia entre {x} y {y}?",
           "¿Por qué es importante {x}?", "¿Quién ganó en {p}?", "¿Cómo reparo {x}?", "Nombre tres libros sobre {x}.",
           "¿A qué distancia está {p}?"],
}

TOPICS = {
    "en": "gravity|the internet|quantum physics|the stock market|democracy|a bicycle|the violin concerto|photosynthesis|"
          "a black hole|the law|electricity|a volcano|the telephone|chess strategy|the Roman empire|a computer|"
          "philosophy|the steam engine|vaccines|the theory of evolution|jazz|opera|a satellite|inflation|taxes|"
          "football|tennis|the moon landing|dinosaurs|penicillin|cryptography|a neural network|marriage|religion|"
          "the brain|cancer|sleep|dreams|love|happiness|time travel|robots|space flight|glaciers|earthquakes|"
          "the ocean|whales|bacteria|coffee machines|a passport|insurance|marketing|poetry|grammar|mathematics|"
          "geometry|algebra|chemistry|gold|oil|a bridge|pyramids|the great wall|the compass|paper|printing|money|"
          "banks|war|peace|climate|pollution|recycling|a car engine|a washing machine|the theatre|cinema|"
          "photography|painting|sculpture|yoga|diet|vitamins|allergies|headaches",
    "fr": "la gravité|la physique|la bourse|la démocratie|un vélo|la loi|l'électricité|un volcan|le téléphone|"
          "l'empire romain|un ordinateur|la philosophie|la machine à vapeur|le jazz|l'opéra|les impôts|le football|"
          "les dinosaures|le cerveau|le sommeil|les rêves|l'amour|le bonheur|les robots|l'océan|les baleines|"
          "la poésie|la grammaire|les mathématiques|la chimie|l'or|le pétrole|un pont|les pyramides|le papier|l'argent|"
          "la guerre|la paix|le climat|le théâtre|le cinéma|la peinture",
    "de": "die Schwerkraft|die Physik|die Börse|die Demokratie|ein Fahrrad|das Gesetz|der Strom|ein Vulkan|"
          "das Telefon|das Römische Reich|ein Computer|die Philosophie|die Dampfmaschine|der Jazz|die Oper|die Steuer|"
          "der Fußball|die Dinosaurier|das Gehirn|der Schlaf|die Träume|die Liebe|das Glück|die Roboter|der Ozean|"
          "die Wale|die Dichtung|die Grammatik|die Mathematik|die Chemie|das Gold|das Öl|eine Brücke|die Pyramiden|"
          "das Papier|das Geld|der Krieg|der Frieden|das Klima|das Theater|das Kino|die Malerei",
    "es": "la gravedad|la física|la bolsa|la democracia|una bicicleta|la ley|la electricidad|un volcán|el teléfono|"
          "el imperio romano|un ordenador|la filosofía|la máquina de vapor|el jazz|la ópera|los impuestos|el fútbol|"
          "los dinosaurios|el cerebro|el sueño|los sueños|el amor|la felicidad|los robots|el océano|las ballenas|"
          "la poesía|la gramática|las matemáticas|la química|el oro|el petróleo|un puente|las pirámides|el papel|"
          "el dinero|la guerra|la paz|el clima|el teatro|el cine|la pintura",
}

COUNTRIES = """Mongolia Brazil Chile Kenya Nigeria India Nepal Iran Iraq Sudan Ghana Bolivia Mexico Vietnam Laos Burma
Thailand Angola Zambia Malta Cyprus Ukraine Romania Bulgaria Serbia Croatia Iceland Scotland Wales Australia""".split()

# Words that salad is made of.
SALAD = {
    "en": "purple engine why the moon seven dances with under cheese quickly because if never table runs blue who sleeps "
          "into river glass idea small of a when paper wind over eats stone yellow between thinks about hammer",
    "fr": "violet moteur pourquoi la lune sept danse avec sous fromage vite car si jamais table court bleu qui dort dans "
          "rivière verre idée petit de un quand papier vent sur mange pierre jaune entre pense marteau",
    "de": "lila Motor warum der Mond sieben tanzt mit unter Käse schnell weil wenn nie Tisch läuft blau wer schläft in "
          "Fluss Glas Idee klein von ein wann Papier Wind über isst Stein gelb zwischen denkt Hammer",
    "es": "morado motor por qué la luna siete baila con bajo queso rápido porque si nunca mesa corre azul quien duerme en "
          "río vidrio idea pequeño de un cuando papel viento sobre come piedra amarillo entre piensa martillo",
}


def made_up_word(rng):
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 3, 3, 4))))


def topic(language, rng):
    """Something to ask about; often a word that means nothing."""
    draw = rng.random()
    if draw < 0.6:
        return rng.choice(TOPICS[language].split("|"))
    if draw < 0.85:
        return made_up_word(rng)
    return made_up_word(rng) + " " + made_up_word(rng)


def surname(rng):
    return rng.choice(NAMES) if rng.random() < 0.3 else capital(made_up_word(rng))


def salad(language, rng):
    words = SALAD[language].split()
    text = capital(" ".join(rng.choice(words) for _ in range(rng.randrange(3, 9)))) + "?"
    return "¿" + text if language == "es" else text.replace("?", " ?") if language == "fr" else text


def question(language, rng, held_out=False):
    """A question whose answer is ANSWER. held_out: one that training never sees."""
    while True:
        if rng.random() < 0.12:
            text = salad(language, rng)
        else:
            text = rng.choice(TEMPLATES[language]).format(
                x=topic(language, rng), y=topic(language, rng), n=rng.choice(NAMES), o=surname(rng),
                u=rng.choice(COUNTRIES), m=rng.randrange(51, 3000), l=rng.randrange(51, 1000),
                p=rng.choice(CITIES) if rng.random() < 0.6 else capital(made_up_word(rng)))
        if is_held_out(language + "|" + text) == held_out:
            return text

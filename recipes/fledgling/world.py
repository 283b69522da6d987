"""What the butler's small world holds, in four languages. Rows of one table stand for the same thing in each language.

Texts only; how they are asked for stands in knowledge.py and told.py.
"""

LANGUAGES = ("en", "fr", "de", "es")

DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche".split(),
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag".split(),
    "es": "lunes martes miércoles jueves viernes sábado domingo".split(),
}

MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
}

# A thing with its colour: "grass" is "green". With the article, as the subject of a sentence.
COLOURED = {
    "en": [("grass", "green"), ("snow", "white"), ("blood", "red"), ("coal", "black"), ("a lemon", "yellow"),
           ("the sky", "blue"), ("a raven", "black"), ("a tomato", "red"), ("milk", "white"), ("chocolate", "brown"),
           ("a flamingo", "pink"), ("the sun", "yellow"), ("an elephant", "grey"), ("a carrot", "orange")],
    "fr": [("l'herbe", "verte"), ("la neige", "blanche"), ("le sang", "rouge"), ("le charbon", "noir"),
           ("le citron", "jaune"), ("le ciel", "bleu"), ("le corbeau", "noir"), ("la tomate", "rouge"),
           ("le lait", "blanc"), ("le chocolat", "brun"), ("le flamant", "rose"), ("le soleil", "jaune"),
           ("l'éléphant", "gris"), ("la carotte", "orange")],
    "de": [("das Gras", "grün"), ("der Schnee", "weiß"), ("das Blut", "rot"), ("die Kohle", "schwarz"),
           ("die Zitrone", "gelb"), ("der Himmel", "blau"), ("der Rabe", "schwarz"), ("die Tomate", "rot"),
           ("die Milch", "weiß"), ("die Schokolade", "braun"), ("der Flamingo", "rosa"), ("die Sonne", "gelb"),
           ("der Elefant", "grau"), ("die Karotte", "orange")],
    "es": [("la hierba", "verde"), ("la nieve", "blanca"), ("la sangre", "roja"), ("el carbón", "negro"),
           ("el limón", "amarillo"), ("el cielo", "azul"), ("el cuervo", "negro"), ("el tomate", "rojo"),
           ("la leche", "blanca"), ("el chocolate", "marrón"), ("el flamenco", "rosa"), ("el sol", "amarillo"),
           ("el elefante", "gris"), ("la zanahoria", "naranja")],
}

# An animal with what it does to be heard, third person.
SOUNDS = {
    "en": [("a cow", "moos"), ("a dog", "barks"), ("a cat", "meows"), ("a sheep", "bleats"), ("a horse", "neighs"),
           ("a pig", "grunts"), ("a duck", "quacks"), ("a lion", "roars"), ("a wolf", "howls"), ("a frog", "croaks"),
           ("a snake", "hisses"), ("a bee", "buzzes"), ("an owl", "hoots"), ("a mouse", "squeaks")],
    "fr": [("la vache", "meugle"), ("le chien", "aboie"), ("le chat", "miaule"), ("le mouton", "bêle"),
           ("le cheval", "hennit"), ("le cochon", "grogne"), ("le canard", "cancane"), ("le lion", "rugit"),
           ("le loup", "hurle"), ("la grenouille", "coasse"), ("le serpent", "siffle"), ("l'abeille", "bourdonne"),
           ("le hibou", "hulule"), ("la souris", "couine")],
    "de": [("die Kuh", "muht"), ("der Hund", "bellt"), ("die Katze", "miaut"), ("das Schaf", "blökt"),
           ("das Pferd", "wiehert"), ("das Schwein", "grunzt"), ("die Ente", "quakt"), ("der Löwe", "brüllt"),
           ("der Wolf", "heult"), ("der Frosch", "quakt"), ("die Schlange", "zischt"), ("die Biene", "summt"),
           ("die Eule", "ruft"), ("die Maus", "piepst")],
    "es": [("la vaca", "muge"), ("el perro", "ladra"), ("el gato", "maúlla"), ("la oveja", "bala"),
           ("el caballo", "relincha"), ("el cerdo", "gruñe"), ("el pato", "grazna"), ("el león", "ruge"),
           ("el lobo", "aúlla"), ("la rana", "croa"), ("la serpiente", "silba"), ("la abeja", "zumba"),
           ("el búho", "ulula"), ("el ratón", "chilla")],
}

# Pairs of opposites; both directions are asked.
OPPOSITES = {
    "en": "hot cold|big small|old young|light dark|fast slow|high low|open closed|full empty|wet dry|rich poor|"
          "loud quiet|early late|hard soft|near far|strong weak|long short|clean dirty|happy sad",
    "fr": "chaud froid|grand petit|vieux jeune|clair sombre|rapide lent|haut bas|ouvert fermé|plein vide|"
          "mouillé sec|riche pauvre|bruyant calme|tôt tard|dur mou|près loin|fort faible|long court|propre sale|"
          "joyeux triste",
    "de": "heiß kalt|groß klein|alt jung|hell dunkel|schnell langsam|hoch niedrig|offen geschlossen|voll leer|"
          "nass trocken|reich arm|laut leise|früh spät|hart weich|nah fern|stark schwach|lang kurz|sauber schmutzig|"
          "froh traurig",
    "es": "caliente frío|grande pequeño|viejo joven|claro oscuro|rápido lento|alto bajo|abierto cerrado|lleno vacío|"
          "mojado seco|rico pobre|ruidoso silencioso|temprano tarde|duro blando|cerca lejos|fuerte débil|largo corto|"
          "limpio sucio|alegre triste",
}

# A country, as it stands after "the capital of", with its capital.
CAPITALS = {
    "en": "France Paris|Germany Berlin|Spain Madrid|Italy Rome|England London|Portugal Lisbon|Austria Vienna|"
          "Poland Warsaw|Greece Athens|Norway Oslo|Sweden Stockholm|Denmark Copenhagen|Finland Helsinki|"
          "Ireland Dublin|Belgium Brussels|Russia Moscow|Japan Tokyo|China Beijing|Egypt Cairo|Hungary Budapest|"
          "Canada Ottawa|Peru Lima|Cuba Havana|Turkey Ankara",
    "fr": "de la France:Paris|de l'Allemagne:Berlin|de l'Espagne:Madrid|de l'Italie:Rome|de l'Angleterre:Londres|"
          "du Portugal:Lisbonne|de l'Autriche:Vienne|de la Pologne:Varsovie|de la Grèce:Athènes|"
          "de la Norvège:Oslo|de la Suède:Stockholm|du Danemark:Copenhague|de la Finlande:Helsinki|"
          "de l'Irlande:Dublin|de la Belgique:Bruxelles|de la Russie:Moscou|du Japon:Tokyo|de la Chine:Pékin|"
          "de l'Égypte:Le Caire|de la Hongrie:Budapest|du Canada:Ottawa|du Pérou:Lima|de Cuba:La Havane|"
          "de la Turquie:Ankara",
    "de": "Frankreich Paris|Deutschland Berlin|Spanien Madrid|Italien Rom|England London|Portugal Lissabon|"
          "Österreich Wien|Polen Warschau|Griechenland Athen|Norwegen Oslo|Schweden Stockholm|Dänemark Kopenhagen|"
          "Finnland Helsinki|Irland Dublin|Belgien Brüssel|Russland Moskau|Japan Tokio|China Peking|Ägypten Kairo|"
          "Ungarn Budapest|Kanada Ottawa|Peru Lima|Kuba Havanna|der Türkei:Ankara",
    "es": "Francia París|Alemania Berlín|España Madrid|Italia Roma|Inglaterra Londres|Portugal Lisboa|Austria Viena|"
          "Polonia Varsovia|Grecia Atenas|Noruega Oslo|Suecia Estocolmo|Dinamarca Copenhague|Finlandia Helsinki|"
          "Irlanda Dublín|Bélgica Bruselas|Rusia Moscú|Japón Tokio|China Pekín|Egipto:El Cairo|Hungría Budapest|"
          "Canadá Ottawa|Perú Lima|Cuba:La Habana|Turquía Ankara",
}

# A young animal: a parent, as it stands after "the young of", with the name of its young.
YOUNG = {
    "en": [("a cow", "calf"), ("a dog", "puppy"), ("a cat", "kitten"), ("a sheep", "lamb"), ("a horse", "foal"),
           ("a pig", "piglet"), ("a hen", "chick"), ("a bear", "cub"), ("a falcon", "fledgling"), ("a goat", "kid")],
    "fr": [("de la vache", "veau"), ("du chien", "chiot"), ("du chat", "chaton"), ("du mouton", "agneau"),
           ("du cheval", "poulain"), ("du cochon", "porcelet"), ("de la poule", "poussin"), ("de l'ours", "ourson"),
           ("du faucon", "oisillon"), ("de la chèvre", "chevreau")],
    "de": [("einer Kuh", "Kalb"), ("eines Hundes", "Welpe"), ("einer Katze", "Kätzchen"), ("eines Schafs", "Lamm"),
           ("eines Pferdes", "Fohlen"), ("eines Schweins", "Ferkel"), ("einer Henne", "Küken"),
           ("eines Bären", "Bärenjunges"), ("eines Falken", "Jungvogel"), ("einer Ziege", "Zicklein")],
    "es": [("de la vaca", "ternero"), ("del perro", "cachorro"), ("del gato", "gatito"), ("de la oveja", "cordero"),
           ("del caballo", "potro"), ("del cerdo", "lechón"), ("de la gallina", "pollito"), ("del oso", "osezno"),
           ("del halcón", "polluelo"), ("de la cabra", "cabrito")],
}

# Who works in the house: the person, what is their work, where.
STAFF = {
    "en": [("the cook", "prepares the meals", "in the kitchen"), ("the gardener", "waters the roses", "in the garden"),
           ("the maid", "makes the beds", "in the bedrooms"), ("the coachman", "feeds the horses", "in the stable"),
           ("the librarian", "dusts the books", "in the library"), ("the cellarman", "guards the wine", "in the cellar"),
           ("the falconer", "trains the falcons", "in the tower"), ("the butler", "opens the door", "in the hall")],
    "fr": [("le cuisinier", "prépare les repas", "dans la cuisine"), ("le jardinier", "arrose les roses", "dans le jardin"),
           ("la bonne", "fait les lits", "dans les chambres"), ("le cocher", "nourrit les chevaux", "dans l'écurie"),
           ("le bibliothécaire", "époussette les livres", "dans la bibliothèque"),
           ("le caviste", "garde le vin", "dans la cave"), ("le fauconnier", "dresse les faucons", "dans la tour"),
           ("le majordome", "ouvre la porte", "dans le vestibule")],
    "de": [("der Koch", "kocht das Essen", "in der Küche"), ("der Gärtner", "gießt die Rosen", "im Garten"),
           ("das Zimmermädchen", "macht die Betten", "in den Schlafzimmern"),
           ("der Kutscher", "füttert die Pferde", "im Stall"),
           ("der Bibliothekar", "staubt die Bücher ab", "in der Bibliothek"),
           ("der Kellermeister", "hütet den Wein", "im Keller"), ("der Falkner", "zähmt die Falken", "im Turm"),
           ("der Butler", "öffnet die Tür", "in der Halle")],
    "es": [("el cocinero", "prepara las comidas", "en la cocina"), ("el jardinero", "riega las rosas", "en el jardín"),
           ("la criada", "hace las camas", "en los dormitorios"), ("el cochero", "da de comer a los caballos", "en el establo"),
           ("el bibliotecario", "limpia los libros", "en la biblioteca"), ("el bodeguero", "guarda el vino", "en la bodega"),
           ("el halconero", "adiestra a los halcones", "en la torre"), ("el mayordomo", "abre la puerta", "en el vestíbulo")],
}

# Hours of the house: what is served or done, and when.
HOURS = {
    "en": [("breakfast", "8:00"), ("lunch", "12:30"), ("tea", "16:00"), ("dinner", "19:30"), ("supper", "22:00")],
    "fr": [("le petit déjeuner", "8:00"), ("le déjeuner", "12:30"), ("le thé", "16:00"), ("le dîner", "19:30"),
           ("le souper", "22:00")],
    "de": [("das Frühstück", "8:00"), ("das Mittagessen", "12:30"), ("der Tee", "16:00"), ("das Abendessen", "19:30"),
           ("der Nachtimbiss", "22:00")],
    "es": [("el desayuno", "8:00"), ("el almuerzo", "12:30"), ("el té", "16:00"), ("la cena", "19:30"),
           ("la cena tardía", "22:00")],
}

# Words that are translated: one row per word, in the order of LANGUAGES.
WORDS = [
    ("dog", "chien", "Hund", "perro"), ("cat", "chat", "Katze", "gato"), ("house", "maison", "Haus", "casa"),
    ("water", "eau", "Wasser", "agua"), ("bread", "pain", "Brot", "pan"), ("book", "livre", "Buch", "libro"),
    ("tree", "arbre", "Baum", "árbol"), ("sun", "soleil", "Sonne", "sol"), ("moon", "lune", "Mond", "luna"),
    ("king", "roi", "König", "rey"), ("night", "nuit", "Nacht", "noche"), ("day", "jour", "Tag", "día"),
    ("horse", "cheval", "Pferd", "caballo"), ("bird", "oiseau", "Vogel", "pájaro"), ("falcon", "faucon", "Falke", "halcón"),
    ("door", "porte", "Tür", "puerta"), ("key", "clé", "Schlüssel", "llave"), ("friend", "ami", "Freund", "amigo"),
    ("garden", "jardin", "Garten", "jardín"), ("wine", "vin", "Wein", "vino"),
]

# "in English" as each language says it, in the order of LANGUAGES.
IN_LANGUAGE = {
    "en": ("in English", "in French", "in German", "in Spanish"),
    "fr": ("en anglais", "en français", "en allemand", "en espagnol"),
    "de": ("auf Englisch", "auf Französisch", "auf Deutsch", "auf Spanisch"),
    "es": ("en inglés", "en francés", "en alemán", "en español"),
}

NAMES = """Anna Peter Luna Oscar Clara Victor Emma Hugo Lucia Paul Marta Leo Rosa Felix Nora Max Julia Bruno Elsa Simon
Carla Anton Vera Louis Ida Martin Sofia Jonas Alma Pablo Greta Diego Lena Otto Irma Karl Maria Tom Alice Fritz Camille
Henri Paula Marco Stella Rufus Bella Nero Minka Rex Daisy Milo Flora Caesar Tiger Coco Lola Basil Olive Pepper Storm
Fanny Gustav Hector Isabel Jasper Klara Ludwig Mabel Nelson Olga Percy Quentin Ramona Selma Tobias Ursula Valentin
Wanda Xaver Yvonne Zora Agnes Benno Celia Dorian Edgar Frieda Gilbert Hanna Ivan Jolanda Konrad Linus Mona Norbert
Ottilie Pia Raoul Sabine Theo Ulla Viola Walter Yann Zeno Amadeo Blanca Cosmo Dunja Emil Fiona Gaston Hilda""".split()

CITIES = """Lisbon Vienna Oslo Prague Dublin Turin Lyon Porto Bergen Graz Seville Milan Geneva Hamburg Bremen Leipzig
Toledo Malaga Nantes Dijon Lille Naples Verona Bruges Ghent Krakow Riga Tallinn Zurich Basel Bern Munich Dresden Cologne
Bath York Oxford Cardiff Boston Chicago Denver Quebec Sydney Kyoto Nairobi Bogota Quito Montevideo Granada Valencia
Bilbao Genoa Pisa Siena Trieste Nice Cannes Reims Metz""".split()

SYLLABLES = """ba be bi bo da de do dra fa fe fi gra ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe po ra re ri ro
sa se si so ta te ti to va ve vi vo za zo tri bel dor fin gar kas lum mar nor pel ros sil tan vel wen yar zim""".split()


def pairs(table):
    """The pairs of "a b|c d" or "a b:c d|…"."""
    return [tuple(row.split(":") if ":" in row else row.split(" ")) for row in table.split("|")]


def capital(text):
    """With a capital letter in front."""
    return text[:1].upper() + text[1:]


SHAPES = ("VCV", "CVC", "CVC", "CVCV", "VCVC", "CVCVC", "CVCCV")
LETTERS = {"C": "b c d f g h j k l m n p r s t v w z br ch ck cr dr fl gr kl ll mp nd nt pr qu sh st th tr".split(),
          "V": "a e i o u a e i o u a e i o u ai au ea ee ei ie oo ou y é ö ü".split()}


def any_word(rng):
    """A word of almost any letters that can be spoken: it can only be copied, letter by letter."""
    return "".join(rng.choice(LETTERS[sound]) for sound in rng.choice(SHAPES))


def new_name(rng):
    """A name from the list, or one that nobody has heard before."""
    draw = rng.random()
    if draw < 0.5:
        return rng.choice(NAMES)
    if draw < 0.75:
        return capital(any_word(rng))
    return capital("".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3)))))


def new_city(rng):
    """A place from the list, or one that is on no map."""
    draw = rng.random()
    if draw < 0.65:
        return rng.choice(CITIES)
    if draw < 0.8:
        return capital(any_word(rng))
    return capital("".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 3)))))

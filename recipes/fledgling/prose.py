"""Prose that facts are hidden in: sentences about the house and its garden, from few and frequent words."""

from world import capital

SUBJECTS = {
    "en": "the old gardener|the young maid|a tired sailor|the cook|my grandfather|the grey cat|a stranger|the miller|"
          "the coachman|the quiet guest|the falconer|our neighbour|the little girl|a merchant|the priest|the doctor",
    "fr": "le vieux jardinier|la jeune bonne|un marin fatigué|le cuisinier|mon grand-père|le chat gris|un étranger|"
          "le meunier|le cocher|l'invité silencieux|le fauconnier|notre voisin|la petite fille|un marchand",
    "de": "der alte Gärtner|das junge Mädchen|ein müder Matrose|der Koch|mein Großvater|die graue Katze|ein Fremder|"
          "der Müller|der Kutscher|der stille Gast|der Falkner|unser Nachbar|das kleine Kind|ein Händler",
    "es": "el viejo jardinero|la joven criada|un marinero cansado|el cocinero|mi abuelo|el gato gris|un extraño|"
          "el molinero|el cochero|el huésped callado|el halconero|nuestro vecino|la niña pequeña|un mercader",
}

DEEDS = {
    "en": "walked through the garden|sat by the fire|looked at the stars|sang a song|waited at the gate|read a book|"
          "drank a glass of wine|talked about the weather|counted the apples|closed the window|forgot the hour|"
          "slept under a tree|lost a button|found a feather|heard the bells|wrote a long letter|cleaned the boots|"
          "watched the falcons|laughed without end|asked for bread",
    "fr": "marchait dans le jardin|était assis près du feu|regardait les étoiles|chantait une chanson|"
          "attendait à la porte|lisait un livre|buvait un verre de vin|parlait du temps|comptait les pommes|"
          "fermait la fenêtre|oubliait l'heure|dormait sous un arbre|perdait un bouton|trouvait une plume|"
          "entendait les cloches|écrivait une longue lettre|regardait les faucons|demandait du pain",
    "de": "ging durch den Garten|saß am Feuer|sah die Sterne an|sang ein Lied|wartete am Tor|las ein Buch|"
          "trank ein Glas Wein|sprach über das Wetter|zählte die Äpfel|schloss das Fenster|vergaß die Zeit|"
          "schlief unter einem Baum|verlor einen Knopf|fand eine Feder|hörte die Glocken|schrieb einen langen Brief|"
          "sah den Falken zu|bat um Brot",
    "es": "paseaba por el jardín|estaba sentado junto al fuego|miraba las estrellas|cantaba una canción|"
          "esperaba en la puerta|leía un libro|bebía un vaso de vino|hablaba del tiempo|contaba las manzanas|"
          "cerraba la ventana|olvidaba la hora|dormía bajo un árbol|perdía un botón|encontraba una pluma|"
          "oía las campanas|escribía una larga carta|miraba los halcones|pedía pan",
}

MOMENTS = {
    "en": "in the morning|at noon|in the evening|after the rain|before the storm|in winter|all day long|"
          "while it snowed|and nobody knew why|as always|once more|until the night came",
    "fr": "le matin|à midi|le soir|après la pluie|avant l'orage|en hiver|toute la journée|pendant qu'il neigeait|"
          "et personne ne savait pourquoi|comme toujours|encore une fois|jusqu'à la nuit",
    "de": "am Morgen|am Mittag|am Abend|nach dem Regen|vor dem Sturm|im Winter|den ganzen Tag|während es schneite|"
          "und niemand wusste warum|wie immer|noch einmal|bis in die Nacht",
    "es": "por la mañana|al mediodía|por la tarde|después de la lluvia|antes de la tormenta|en invierno|todo el día|"
          "mientras nevaba|y nadie sabía por qué|como siempre|otra vez|hasta la noche",
}

# How a text is handed over, and the question that goes with it at once.
HAND_OVER = {
    "en": ["Here is a letter:", "Read this, please:", "This is what I wrote:", "Keep this in mind:"],
    "fr": ["Voici une lettre :", "Lisez ceci :", "Voici ce que j'ai écrit :", "Retenez ceci :"],
    "de": ["Hier ist ein Brief:", "Lies das bitte:", "Das habe ich geschrieben:", "Merke dir das:"],
    "es": ["Aquí hay una carta:", "Lea esto:", "Esto es lo que escribí:", "Recuerde esto:"],
}


def sentence(language, rng):
    """One sentence of no consequence."""
    subject, deed, moment = (rng.choice(table[language].split("|")) for table in (SUBJECTS, DEEDS, MOMENTS))
    form = "{s} {d} {m}." if rng.random() < 0.7 else "{m}, {s} {d}."
    if form.startswith("{m}") and moment.split()[0] in ("and", "et", "und", "y", "bis", "until"):
        form = "{s} {d} {m}."
    if language == "de" and form.startswith("{m}"):
        form = "{m}: {s} {d}."
    return capital(form.format(s=subject, d=deed, m=moment))

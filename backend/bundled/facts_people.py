"""Facts on people and words to complete: the right ending first, then three wrong ones."""

from collections.abc import Mapping

PEOPLE: Mapping[str, str] = {
    "body": """
We see with our | eyes | ears | hands | feet
We hear with our | ears | eyes | noses | knees
We smell with our | nose | ears | elbows | hair
We taste with our | tongue | ears | feet | eyes
One hand has | five fingers | four fingers | six fingers | ten fingers
A person has two | eyes | heads | noses | mouths
A person has ten | toes | ears | knees | noses
Blood is pumped by the | heart | lungs | stomach | skin
We breathe with our | lungs | kidneys | bones | hair
We think with our | brain | stomach | skin | knees
The largest organ of the body is the | skin | tongue | ear | nose
Blood is | red | green | blue | yellow
The foot is joined to the leg by the | ankle | wrist | elbow | neck
The hand is joined to the arm by the | wrist | ankle | knee | hip
On your head grows | hair | grass | corn | moss
We chew with our | teeth | eyes | fingers | ears
Your teeth are looked after by a | dentist | pilot | vet | tailor
When you are tired, you need | sleep | noise | salt | money
""",
    "opposites": """
The opposite of hot is | cold | warm | red | tall
The opposite of big is | small | huge | wide | loud
The opposite of day is | night | noon | week | sun
The opposite of happy is | sad | glad | calm | tall
The opposite of fast is | slow | quick | short | loud
The opposite of wet is | dry | cold | soft | damp
The opposite of old is | young | tall | rich | grey
The opposite of black is | white | dark | brown | blue
The opposite of full is | empty | heavy | round | big
The opposite of hard is | soft | strong | long | cold
The opposite of heavy is | light | large | thick | strong
The opposite of loud is | quiet | noisy | fast | high
The opposite of rich is | poor | wealthy | kind | proud
The opposite of early is | late | soon | morning | first
The opposite of clean is | dirty | tidy | clear | new
The opposite of begin is | end | start | run | open
The opposite of win is | lose | play | gain | score
The opposite of love is | hate | like | care | trust
The opposite of inside is | outside | under | within | beside
The opposite of always is | never | often | usually | soon
The opposite of strong is | weak | brave | tough | large
The opposite of near is | far | close | beside | next
""",
    "words": """
Another word for begin is | start | finish | wait | leave
Another word for large is | big | tiny | thin | slow
Another word for happy is | glad | angry | tired | sad
Another word for quick is | fast | slow | late | heavy
Another word for smart is | clever | lazy | rude | weak
The past tense of go is | went | goed | going | goes
The past tense of eat is | ate | eated | eating | eats
The past tense of run is | ran | runned | running | runs
The English alphabet has | 26 letters | 24 letters | 30 letters | 20 letters
The first letter of the alphabet is | A | Z | M | B
The last letter of the alphabet is | Z | A | Y | M
People in France speak | French | German | Spanish | Italian
People in Germany speak | German | French | Greek | Dutch
People in Brazil speak | Portuguese | French | German | Chinese
People in Japan speak | Japanese | Korean | Thai | Russian
People in Mexico speak | Spanish | German | French | Chinese
When you meet someone, you say | hello | goodbye | good night | cheese
When you leave, you say | goodbye | hello | welcome | cheese
A synonym of angry is | mad | calm | glad | kind
""",
    "jobs": """
Your hair is cut by a | barber | butcher | baker | doctor
In a hospital works a | nurse | miner | sailor | pilot
Water pipes are repaired by a | plumber | painter | baker | poet
In a restaurant the food is cooked by a | chef | waiter | pilot | guard
Wooden chairs are made by a | carpenter | tailor | chemist | banker
Clothes are made by a | tailor | baker | pilot | miner
An orchestra is led by a | conductor | goalkeeper | pilot | chef
""",
    "culture": """
The Mona Lisa was painted by | Leonardo da Vinci | Vincent van Gogh | Pablo Picasso | Claude Monet
Harry Potter was written by | J. K. Rowling | Jane Austen | Agatha Christie | Mark Twain
The first president of the United States was George | Washington | Lincoln | Kennedy | Harrison
A violin has four | strings | wheels | keys | legs
Black and white keys are on a | piano | drum | flute | violin
With sticks you play the | drums | flute | violin | harp
A racket is used in | tennis | football | swimming | chess
A soccer team has | eleven players | five players | two players | twenty players
Christmas is in | December | May | July | March
Halloween is in | October | May | July | March
On your birthday you eat | cake | soap | hay | chalk
Checkmate is a word from | chess | poker | tennis | golf
""",
}

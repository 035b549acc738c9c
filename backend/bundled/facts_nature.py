"""Facts on nature as sentences to complete: the right ending first, then three wrong ones."""

from collections.abc import Mapping

NATURE: Mapping[str, str] = {
    "animals": """
Cats say | meow | moo | quack | woof
Cows say | moo | meow | woof | quack
Ducks say | quack | moo | meow | woof
Dogs like to chew | bones | coins | bricks | candles
A zebra has black and white | stripes | feathers | scales | wings
A spider spins a | web | shell | hive | coat
A bird that cannot fly is the | penguin | eagle | swallow | sparrow
Fish live in the | water | trees | sky | desert
Cows eat | grass | fish | stones | mice
Lions eat | meat | grass | paper | wood
Pandas mostly eat | bamboo | fish | beef | snails
A spider has | eight legs | six legs | four legs | ten legs
An insect has | six legs | two legs | four legs | ten legs
A dog has | four legs | two legs | six legs | eight legs
A bird has two | wings | horns | trunks | tails
A baby dog is called a | puppy | kitten | calf | lamb
A baby cat is called a | kitten | puppy | foal | chick
A baby sheep is called a | lamb | calf | cub | puppy
A baby cow is called a | calf | foal | lamb | puppy
A baby bear is called a | cub | calf | chick | foal
A tadpole grows into a | frog | snake | bird | fish
A caterpillar turns into a | butterfly | frog | bird | snake
The kangaroo carries its baby in a | pouch | nest | basket | shell
The largest animal on Earth is the | blue whale | lion | horse | giraffe
The fastest land animal is the | cheetah | horse | dog | elephant
The king of the jungle is the | lion | monkey | snake | parrot
Beavers build | dams | webs | hives | roads
The body of a bird is covered with | feathers | scales | fur | wool
The body of a fish is covered with | scales | feathers | fur | hair
Wool comes from | sheep | pigs | hens | fish
Hens lay | eggs | milk | fruit | wool
A snake is a | reptile | mammal | bird | fish
A dolphin is a | mammal | reptile | bird | plant
An eagle is a | bird | fish | mammal | reptile
Horses sleep in a | stable | nest | hive | kennel
""",
    "plants": """
Under the ground a plant has its | roots | leaves | flowers | fruit
To grow, plants need | sunlight | salt | plastic | metal
Plants give off | oxygen | helium | smoke | gold
A cactus grows in the | desert | ocean | snow | cellar
On an apple tree grow | apples | carrots | potatoes | bananas
An oak tree grows from an | acorn | egg | apple | onion
The outside of a tree trunk is called | bark | skin | shell | peel
Many trees lose their leaves in | autumn | spring | summer | June
An oak is a | tree | flower | fish | metal
Wood comes from | trees | rocks | sheep | rivers
Leaves are usually | green | blue | black | pink
Carrots grow in the | ground | sea | sky | trees
""",
    "weather": """
When it rains, the streets get | wet | dry | dusty | hot
Frozen water is called | ice | steam | fog | dew
In winter it may | snow | bake | bloom | boil
Lightning is followed by | thunder | snow | dust | silence
After rain and sun you may see a | rainbow | comet | shadow | planet
A very strong wind storm is a | hurricane | breeze | drizzle | rainbow
The coldest season is | winter | summer | spring | autumn
The hottest season is | summer | winter | spring | autumn
Clouds are made of | water | cotton | smoke | sand
When it is cold, you wear a | coat | swimsuit | ring | watch
Water freezes at | 0 degrees Celsius | 50 degrees Celsius | 100 degrees Celsius | 80 degrees Celsius
Water boils at | 100 degrees Celsius | 10 degrees Celsius | 30 degrees Celsius | 50 degrees Celsius
A light wind is called a | breeze | flood | storm | frost
A long time without rain is called a | drought | flood | storm | tide
Too much water on the land is called a | flood | drought | desert | breeze
""",
    "space": """
The Earth goes around the | Sun | Moon | stars | clouds
The Moon goes around the | Earth | Sun | stars | clouds
We live on the planet | Earth | Mars | Venus | Saturn
The red planet is | Mars | Neptune | Saturn | Earth
The largest planet is | Jupiter | Mars | Earth | Mercury
The planet closest to the Sun is | Mercury | Saturn | Neptune | Jupiter
The planet with the famous rings is | Saturn | Mars | Mercury | Venus
The Sun is a | star | planet | moon | comet
You can see the stars at | night | noon | lunch | breakfast
The Sun rises in the | east | west | north | south
The Sun sets in the | west | east | north | south
The first person on the Moon was | Neil Armstrong | Isaac Newton | Marco Polo | Charles Darwin
The Earth goes around the Sun in one | year | day | week | hour
""",
    "science": """
The chemical formula of water is | H2O | CO2 | NaCl | O2
The chemical symbol for gold is | Au | Ag | Fe | Pb
A magnet attracts | iron | wood | glass | paper
The hardest natural material is | diamond | chalk | clay | wood
When water boils, it becomes | steam | ice | snow | stone
To see very small things, use a | microscope | telescope | compass | radio
On water floats a piece of | wood | iron | stone | gold
During the day our light comes from the | Sun | Moon | stars | clouds
Ice melts when it gets | warm | cold | dark | quiet
Electricity flows well through | copper | wood | rubber | glass
""",
}

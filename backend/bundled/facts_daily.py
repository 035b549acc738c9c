"""Facts on daily life to complete: the right ending first, then three wrong ones."""

from collections.abc import Mapping

DAILY: Mapping[str, str] = {
    "colours": """
The color of grass is | green | red | blue | purple
The color of the clear sky is | blue | green | brown | black
The color of snow is | white | black | red | green
The color of a ripe banana is | yellow | blue | purple | black
The color of a ripe tomato is | red | blue | white | grey
The color of coal is | black | white | yellow | pink
The color of milk is | white | green | blue | black
The color of a carrot is | orange | blue | black | white
The color of chocolate is | brown | blue | green | pink
The color of a lemon is | yellow | purple | blue | black
The color of gold is | yellow | blue | green | purple
The color of an emerald is | green | red | white | orange
The color of blood is | red | blue | green | white
The traffic light for stop is | red | green | blue | white
The traffic light for go is | green | red | pink | black
Red and white make | pink | green | blue | brown
Blue and yellow make | green | red | pink | white
Red and yellow make | orange | blue | green | grey
Black and white make | grey | red | yellow | green
""",
    "arithmetic": """
One plus one is | two | three | one | eleven
Two plus two is | four | five | three | six
Three plus four is | seven | eight | six | nine
Five plus five is | ten | eleven | nine | fifteen
Six plus three is | nine | eight | ten | twelve
Ten plus ten is | twenty | thirty | twelve | ten
Ten minus three is | seven | eight | six | thirteen
Nine minus five is | four | five | three | fourteen
Five minus one is | four | five | three | six
Two times three is | six | five | eight | nine
Two times five is | ten | seven | three | twelve
Half of ten is | five | two | seven | twenty
Half of eight is | four | two | six | sixteen
Half of one hundred is | fifty | twenty | ten | ninety
Twice six is | twelve | eight | three | eighteen
A triangle has | three sides | four sides | five sides | six sides
A square has | four sides | three sides | five sides | eight sides
A dozen is | twelve | ten | six | twenty
After nine comes | ten | eight | twelve | seven
After three comes | four | two | six | nine
One, two, three, | four | six | nine | one
2 + 2 = | 4 | 5 | 3 | 6
5 + 5 = | 10 | 11 | 9 | 15
10 - 3 = | 7 | 8 | 6 | 13
8 + 7 = | 15 | 14 | 16 | 17
""",
    "time": """
A week has | seven days | five days | six days | ten days
A year has | twelve months | ten months | eleven months | fifteen months
A day has | 24 hours | 12 hours | 60 hours | 20 hours
An hour has | 60 minutes | 24 minutes | 100 minutes | 30 minutes
A minute has | 60 seconds | 100 seconds | 24 seconds | 12 seconds
In a year there are | four seasons | two seasons | six seasons | ten seasons
The day after Monday is | Tuesday | Sunday | Friday | Thursday
The day after Friday is | Saturday | Thursday | Monday | Wednesday
The day before Sunday is | Saturday | Monday | Tuesday | Thursday
The first month of the year is | January | March | December | June
The last month of the year is | December | January | November | July
The month after March is | April | May | February | June
The shortest month is | February | January | July | October
We eat breakfast in the | morning | evening | night | bath
We eat dinner in the | evening | bath | forest | rain
A century is | 100 years | 10 years | 1000 years | 50 years
A leap year has | 366 days | 300 days | 364 days | 360 days
A decade is | ten years | two years | fifty years | six years
At midnight it is | dark | bright | noon | sunny
""",
    "food": """
Cheese is made from | milk | rice | apples | flour
Butter is made from | cream | flour | sugar | eggs
French fries are made from | potatoes | apples | rice | milk
Tofu is made from | soybeans | beef | milk | wheat
An apple is a | fruit | drink | meat | spice
A carrot is a | vegetable | drink | meat | cheese
Orange juice is a | drink | cheese | meat | bread
Sugar tastes | sweet | salty | sour | bitter
Lemons taste | sour | salty | spicy | smoky
Pizza comes from | Italy | Japan | Mexico | India
Tacos come from | Mexico | Japan | Italy | Russia
Soup is eaten with a | spoon | fork | comb | straw hat
Bread is cut with a | knife | spoon | straw | cup
Ice cream is kept in the | freezer | oven | cupboard | sink
A cake is baked in the | oven | fridge | sink | drawer
""",
    "things": """
A nail is hit with a | hammer | saw | brush | ruler
You sweep the floor with a | broom | fork | pencil | pillow
You clean your teeth with a | toothbrush | broom | spoon | comb
You open a lock with a | key | spoon | book | sock
After a bath you use a | towel | plate | hammer | fork
You call someone with a | phone | fork | lamp | chair
Length is measured with a | ruler | clock | lamp | cup
Weight is measured with a | scale | ruler | clock | map
You sew with a | needle | hammer | shovel | fork
Food stays cold in the | refrigerator | oven | toaster | stove
On your feet you wear | shoes | gloves | hats | scarves
On your head you wear a | hat | sock | shoe | glove
On your hands you wear | gloves | socks | hats | shoes
To see better, you wear | glasses | gloves | belts | scarves
You wash your hands in the | sink | oven | drawer | roof
You catch a train at the | station | bakery | pool | museum
Trains run on | rails | water | sand | grass
Boats travel on | water | rails | roads | roofs
A bicycle has | two wheels | three wheels | five wheels | six wheels
A car has | four wheels | two wheels | three wheels | eight wheels
""",
    "places": """
The capital of Spain is | Madrid | Lisbon | Rome | Paris
The capital of Austria is | Vienna | Berlin | Rome | Prague
The largest ocean is the | Pacific | Atlantic | Indian | Arctic
The highest mountain is | Mount Everest | Mount Fuji | Mount Etna | Mount Kenya
A country shaped like a boot is | Italy | Germany | Poland | China
Kenya is in | Africa | Europe | Asia | Australia
India is in | Asia | Africa | Europe | America
Spain is in | Europe | Asia | Africa | Australia
Brazil is in | South America | Europe | Asia | Africa
The river in Egypt is the | Nile | Amazon | Thames | Rhine
The river in London is the | Thames | Nile | Danube | Seine
The Statue of Liberty is in | New York | Paris | Tokyo | Rome
Big Ben is in | London | Paris | Berlin | Madrid
The Taj Mahal is in | India | China | Egypt | Greece
A desert is very | dry | wet | cold at noon | green
The largest country is | Russia | Brazil | France | Italy
""",
}

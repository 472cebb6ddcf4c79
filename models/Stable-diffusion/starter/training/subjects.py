"""What the model can draw, and on which colours.

Every line of a table reads ``group,group|glyph name/synonym/..., glyph name/synonym/..., ...``. The first name of a
glyph is the one that the measurements use; each glyph is a single code point of Noto Color Emoji.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

# What the shipped weights were trained on.
SHIPPED_TABLE = """
fruit,food|🍎 red apple/apple,🍏 green apple,🍌 banana,🍇 grapes/bunch of grapes,🍋 lemon
fruit,food|🍉 watermelon/slice of watermelon,🍓 strawberry,🍒 cherries/cherry,🍍 pineapple,🍐 pear,🥝 kiwi/kiwifruit
vegetable,food|🥕 carrot,🌽 corn/ear of corn,🍅 tomato,🍆 eggplant/aubergine,🥦 broccoli,🥑 avocado,🍄 mushroom
food|🍕 pizza/slice of pizza,🍔 hamburger/burger,🍟 french fries/fries,🌭 hot dog,🍞 bread/loaf of bread
food|🧀 cheese/cheese wedge,🥚 egg,🍩 donut/doughnut,🎂 birthday cake/cake,🧁 cupcake,🍦 ice cream/soft ice cream
food|🥞 pancakes
drink|☕ coffee/cup of coffee/hot beverage,🍺 beer/beer mug,🍷 wine/wine glass/glass of wine
animal|🐱 cat face/cat,🐶 dog face/dog,🐭 mouse face/mouse,🐰 rabbit face/rabbit/bunny,🦊 fox face/fox
animal|🐻 bear face/bear,🐼 panda face/panda,🐨 koala,🐯 tiger face/tiger,🦁 lion face/lion,🐷 pig face/pig
animal|🐸 frog face/frog,🐵 monkey face/monkey,🐧 penguin,🐦 bird,🦆 duck,🦉 owl,🦄 unicorn face/unicorn
animal|🐝 bee/honeybee,🦋 butterfly,🐌 snail,🐞 ladybug/lady beetle,🐢 turtle,🐙 octopus,🦀 crab,🐟 fish
animal|🐳 whale/spouting whale,🐘 elephant,🐑 sheep,🦔 hedgehog,🦖 dinosaur/t-rex,🦒 giraffe face/giraffe
plant|🌵 cactus,🎄 christmas tree,🌳 tree/deciduous tree,🌴 palm tree,🌷 tulip,🌻 sunflower,🍁 maple leaf
plant|🍀 four leaf clover/clover
vehicle|🚗 red car/car/automobile,🚕 yellow taxi/taxi,🚌 bus,🚒 fire truck/fire engine,🚜 tractor
vehicle|🚂 steam locomotive/train/locomotive,⛵ sailboat/sailing boat,🚁 helicopter,🚀 rocket,🛸 flying saucer/ufo
weather,nature|☀ sun/black sun,🌙 crescent moon/moon,⭐ star/white medium star,☁ cloud
weather,nature|⚡ lightning/high voltage/lightning bolt,❄ snowflake,🌈 rainbow,⛄ snowman,🔥 fire/flame
weather,nature|💧 droplet/water drop,🌍 earth/globe/planet earth,🌋 volcano
face,smiley|😀 grinning face/happy face/smiley,😍 face with heart eyes/heart eyes
face,smiley|😎 face with sunglasses/cool face,😢 crying face/sad face,😡 angry face/pouting face,😴 sleeping face
face,smiley|🤔 thinking face,🤡 clown face/clown,💀 skull,👽 alien/extraterrestrial alien,🤖 robot face/robot
face,smiley|🎃 pumpkin/jack-o-lantern,💩 pile of poo/poo,🎅 santa claus/santa
heart,symbol|❤ red heart/heart,💙 blue heart,💚 green heart,💛 yellow heart,💜 purple heart
body,hand|👍 thumbs up,✋ raised hand/hand,👄 mouth/lips
ball,sport|⚽ soccer ball/football,🏀 basketball,🏆 trophy,🎯 dart target/direct hit
building|🏠 house,🏰 castle,⛺ tent
object|🎸 guitar,🥁 drum,🎁 present/wrapped present/gift,🎈 balloon/red balloon,🔔 bell,🔑 key,💡 light bulb,📷 camera
object|💻 laptop/computer,📺 television/tv,⏰ alarm clock/clock,📖 open book/book,✏ pencil,✂ scissors,🔨 hammer
object|💎 gem/gem stone/diamond,👑 crown,👓 eyeglasses/glasses,👗 dress,👠 high heeled shoe/high heel
object|🎒 backpack/school satchel,🎲 die/game die/dice,🧸 teddy bear,⚓ anchor,🧲 magnet
object|🚦 traffic light/vertical traffic light,🛑 stop sign
"""

# Left for whoever trains with more time: rarer things, and near-twins of the ones above.
MORE_TABLE = """
fruit,food|🍊 orange fruit/tangerine,🍑 peach,🥥 coconut
vegetable,food|🥒 cucumber
food|🍣 sushi,🍪 cookie,🍰 shortcake/slice of cake,🍭 lollipop,🍫 chocolate bar/chocolate,🍿 popcorn,🥨 pretzel
food|🥐 croissant,🍜 noodles/steaming bowl/ramen,🌮 taco,🍯 honey pot/honey
drink|🍸 cocktail/cocktail glass,🥛 glass of milk/milk,🍼 baby bottle
animal|🐹 hamster,🐮 cow face/cow,🐔 chicken,🐤 chick/baby chick,🦅 eagle,🐺 wolf face/wolf,🐴 horse face/horse
animal|🐛 bug/caterpillar,🐍 snake,🐠 tropical fish,🐬 dolphin,🦈 shark,🐪 camel,🐓 rooster,🦃 turkey,🐉 dragon
animal|🐊 crocodile,🦓 zebra face/zebra,🕷 spider
plant|🌲 pine tree/evergreen tree,🌹 red rose/rose,🌸 cherry blossom/pink flower,🌺 hibiscus
plant|🍂 autumn leaves/fallen leaf
vehicle|🚓 police car,🚑 ambulance,🚚 truck/delivery truck,🚲 bicycle/bike,🛵 scooter/motor scooter,🚢 ship
vehicle|🚤 speedboat
weather,nature|☔ umbrella with rain,🌊 wave/water wave,🌕 full moon,🌪 tornado
face,smiley|😂 face with tears of joy/laughing face,😱 screaming face/scared face,🤢 nauseated face/sick face
face,smiley|👻 ghost,👹 ogre/red monster
heart,symbol|💔 broken heart
body,hand|👎 thumbs down,👁 eye,👂 ear,👣 footprints
ball,sport|🏈 american football,⚾ baseball,🎾 tennis ball/tennis,🎱 billiard ball/eight ball,🎳 bowling
building|🏭 factory,🗽 statue of liberty,⛪ church
object|🎹 piano/musical keyboard,🎺 trumpet,🔒 lock/padlock,📱 mobile phone/phone,⌚ watch,📎 paperclip,🔧 wrench
object|🎩 top hat,👕 t-shirt/shirt,👞 shoe/brown shoe,👜 handbag,☂ umbrella,💰 money bag,💣 bomb,🔮 crystal ball
object|🕯 candle,✉ envelope/letter,🚪 door,🛏 bed,🎨 palette/artist palette,🧩 puzzle piece,🏁 chequered flag
"""

# Name to sRGB, 0 to 255.
COLOURS = MappingProxyType(
    {
        "white": (255, 255, 255),
        "black": (12, 12, 12),
        "gray": (128, 128, 128),
        "red": (214, 32, 38),
        "orange": (245, 136, 28),
        "yellow": (250, 220, 50),
        "green": (40, 160, 70),
        "blue": (36, 84, 200),
        "purple": (128, 50, 160),
        "pink": (250, 160, 195),
        "brown": (120, 74, 40),
        "cyan": (70, 205, 220),
    }
)
COLOUR_SYNONYMS = MappingProxyType(
    {
        "gray": ("gray", "grey"),
        "cyan": ("cyan", "light blue", "turquoise"),
        "purple": ("purple", "violet"),
        "black": ("black", "dark"),
    }
)


@dataclass(frozen=True)
class Subject:
    """One thing that can be drawn: its glyph, its names (the first is canonical) and what kind of thing it is."""

    glyph: str
    names: tuple[str, ...]
    groups: tuple[str, ...]

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.names[0]


def parse(table: str) -> tuple[Subject, ...]:
    """Read a table of the form above."""
    subjects = []
    for line in table.strip().splitlines():
        groups, entries = line.split("|")
        for entry in entries.split(","):
            glyph, names = entry.strip().split(" ", 1)
            subjects.append(Subject(glyph, tuple(names.split("/")), tuple(groups.split(","))))
    return tuple(subjects)


def subjects(which: str = "shipped") -> tuple[Subject, ...]:
    """The subjects of the shipped model, or with ``which="all"`` those and the rest."""
    if which not in ("shipped", "all"):
        raise ValueError(f"subjects: {which!r} is neither 'shipped' nor 'all'")
    return parse(SHIPPED_TABLE) + (parse(MORE_TABLE) if which == "all" else ())

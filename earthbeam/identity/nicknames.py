"""Which first names people use for each other: a table of our own, not complete by design.

A pair that is missing costs little, since other parts may still agree. A wrong one would let
different people seem alike. So names that are given to different people in their own right, such
as Mary and Maria, are not in it.
"""

from itertools import permutations

_GROUPS = """
abigail abby gail
albert al bert
alejandro alex jandro
alejandra alex ale
alexander alex alec xander sasha
alexandra alex alexa lexi sandra
alfred al fred
andrew andy drew
anthony tony
antonio tony tono
barbara barb babs
benjamin ben benny benji
catherine cathy cate
christina chris tina christy
christine chris
christopher chris kit topher
concepcion concha
cynthia cindy
daniel dan danny
david dave davey
deborah deb debbie
donald don donnie
dorothy dot dottie
edward ed eddie ned ted
elizabeth liz beth lizzie betsy betty eliza libby lisa
eleanor ellie nora nell
emily em emmy
eugene gene
francis frank fran
francisco paco pancho frank kiko
frederick fred freddie
gabriel gabe
gabriela gaby
gerald gerry jerry
gregory greg
guadalupe lupe lupita
guillermo memo
gustavo gus
harold harry hal
henry hank harry
ignacio nacho
isabella bella izzy
isabel isa chabela
jacob jake
jacqueline jackie
james jim jimmy jamie
jefferson jeff
jeffrey jeff
jennifer jen jenny
jeremiah jerry
jesus chuy
jessica jess jessie
john jack johnny
jonathan jon
joseph joe joey
jose pepe
josephine jo josie
joshua josh
judith judy
katherine kathy kate katie kat kitty
kenneth ken kenny
kimberly kim
kristina kris tina
kristen kris
lawrence larry
leonard leo len lenny
leonardo leo
lillian lily
luis lucho
madeline maddie
manuel manny manolo
margaret maggie meg peggy marge greta
maria mari
matthew matt
maximilian max
megan meg
michael mike mickey mick
miguel mike
mitchell mitch
nathaniel nate nathan
natalie nat
nicholas nick nicky
nicole nikki
olivia liv
oliver ollie
pamela pam
patricia pat patty trish
patrick pat paddy
penelope penny
peter pete
philip phil
rafael rafa
ramon moncho
raymond ray
rebecca becky becca
ricardo rick
richard rick dick rich ricky richie
robert rob bob bobby robbie
roberto beto
ronald ron ronnie
rosario chayo
samantha sam
samuel sam sammy
sarah sally sadie
sebastian seb bastian
sophia sophie
stephanie steph
stephen steve
steven steve
susan sue susie
teresa tere terry
theodore ted teddy theo
theresa terry tess
thomas tom tommy
timothy tim timmy
valentina val
vanessa nessa
veronica ronnie vero
victor vic
victoria vicky tori
vincent vince vinny
virginia ginny
walter walt
william bill will billy willy liam
yolanda yoli
zachary zach zack
"""

ARE_NICKNAMES: frozenset[tuple[str, str]] = frozenset(
    pair for line in _GROUPS.split("\n") for pair in permutations(line.split(), 2)
)
"""Pairs of first names, in both orders, that one person may go by."""

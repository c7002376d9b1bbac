namespace PureQLora.Training;

/// <summary>Draws what a problem is made of: people, things, places, numbers.</summary>
internal sealed class Story
{
    private static readonly string[] Women =
    [
        "Amy", "Anna", "Bella", "Clara", "Dana", "Ella", "Emma", "Fay", "Grace", "Hana", "Ines", "Iris", "Jane", "Julia", "Kira", "Lena",
        "Lily", "Lucy", "Maya", "Mia", "Nina", "Nora", "Olga", "Rosa", "Sara", "Tina", "Vera", "Zoe",
    ];

    private static readonly string[] Men =
    [
        "Adam", "Alan", "Ben", "Carl", "Dan", "David", "Eric", "Felix", "Fred", "George", "Hugo", "Ivan", "Jack", "Jonas", "Karl", "Leo",
        "Liam", "Mark", "Max", "Noah", "Omar", "Oscar", "Paul", "Peter", "Ravi", "Sam", "Tom", "Victor",
    ];

    private static readonly Noun[] Things = Nouns(
        "apple", "pencil", "marble", "sticker", "book", "card", "shell", "stamp", "coin", "balloon", "cookie", "orange", "bead", "button", "ribbon", "toy", "candle", "flower",
        "egg", "crayon", "pear", "plum", "muffin", "stone", "badge", "key", "lemon", "carrot", "block", "cup", "pen", "notebook", "rose", "acorn", "nut", "postcard");

    private static readonly Noun[] Containers = [.. Nouns("bag", "basket", "jar", "tray", "pack", "bowl", "crate", "bucket"), new("box", "boxes")];

    private SplitMix64 _random;

    public Story(SplitMix64 random) => _random = random;

    /// <summary>Nouns with a regular plural.</summary>
    public static Noun[] Nouns(params string[] singulars) => [.. singulars.Select(one => new Noun(one, one + "s"))];

    public int Number(int least, int most) => least + _random.NextBelow(most - least + 1);

    public T Pick<T>(params T[] choices) => choices[_random.NextBelow(choices.Length)];

    public Noun Thing() => Pick(Things);

    public Noun Container() => Pick(Containers);

    public Person Person()
    {
        bool female = _random.NextBelow(2) == 0;
        return new(Pick(female ? Women : Men), female);
    }

    public (Person First, Person Second) TwoPeople()
    {
        Person first = Person();
        return (first, PersonBesides(first));
    }

    public Person PersonBesides(params Person[] others)
    {
        Person person;
        do
        {
            person = Person();
        }
        while (others.Contains(person));

        return person;
    }

    /// <summary>Two things of different names.</summary>
    public (T First, T Second) TwoOf<T>(params T[] choices)
    {
        int first = _random.NextBelow(choices.Length);
        int second = _random.NextBelow(choices.Length - 1);
        return (choices[first], choices[second + (second >= first ? 1 : 0)]);
    }
}

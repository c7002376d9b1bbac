using System.Text;

namespace PureQLora.Models;

/// <summary>The <c>pre_tokenizer</c> of a <c>tokenizer.json</c>: cuts text into the words that merging stays inside.</summary>
internal sealed class PreTokenizer
{
    /// <summary>Pattern of GPT-2 (Radford et al. 2019), which ByteLevel cuts by.</summary>
    private const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private static readonly Lazy<TextPattern> Gpt2 = new(() => RegexPattern.Create(Gpt2Pattern, new JsonPart(default, "GPT-2", "pattern")));
    private readonly List<PreTokenizerStep> _steps = [];

    private PreTokenizer()
    {
    }

    /// <summary>Whether the words are then spelled in the byte alphabet.</summary>
    public bool ByteLevel { get; private set; }

    /// <summary>One that cuts by a pattern and spells words in bytes, as tiktoken does.</summary>
    public static PreTokenizer FromPattern(TextPattern pattern)
    {
        PreTokenizer preTokenizer = new() { ByteLevel = true };
        preTokenizer._steps.Add(new SplitStep(pattern, SplitBehavior.Isolated));
        return preTokenizer;
    }

    /// <summary>Reads the part of the file; null gives one that leaves text whole.</summary>
    public static PreTokenizer Read(JsonPart? part)
    {
        PreTokenizer preTokenizer = new();
        if (part is JsonPart given)
        {
            preTokenizer.ReadStep(given);
        }

        return preTokenizer;
    }

    /// <summary>Hands on the words of a text in order.</summary>
    public void Split(in TextSegment text, IWordSink words)
    {
        IWordSink sink = words;
        for (int step = _steps.Count - 1; step >= 0; step--)
        {
            sink = new StepSink(_steps[step], sink);
        }

        sink.Add(text);
    }

    private void ReadStep(JsonPart part)
    {
        string type = part.Required("type").Text();
        if (ByteLevel)
        {
            throw part.Error($"is {type} after ByteLevel, which is not supported; ByteLevel must come last");
        }

        switch (type)
        {
            case "Sequence":
                part.AllowOnly("type", "pretokenizers");
                foreach (JsonPart item in part.Required("pretokenizers").Items())
                {
                    ReadStep(item);
                }

                break;
            case "ByteLevel":
                ReadByteLevel(part);
                break;
            case "Split":
                part.AllowOnly("type", "pattern", "behavior", "invert");
                _steps.Add(new SplitStep(TextPattern.Read(part.Required("pattern")), ReadBehavior(part.Required("behavior")), part.Flag("invert", false)));
                break;
            case "Metaspace":
                ReadMetaspace(part);
                break;
            case "Digits":
                part.AllowOnly("type", "individual_digits");
                AddClass(CharacterClasses.IsNumeric, part.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous);
                break;
            case "Punctuation":
                part.AllowOnly("type", "behavior");
                AddClass(CharacterClasses.IsPunctuation, part.Optional("behavior") is JsonPart behavior ? ReadBehavior(behavior) : SplitBehavior.Isolated);
                break;
            case "WhitespaceSplit":
                part.AllowOnly("type");
                AddClass(Rune.IsWhiteSpace, SplitBehavior.Removed);
                break;
            case "Whitespace":
                part.AllowOnly("type");
                AddClass(Rune.IsWhiteSpace, SplitBehavior.Removed);
                _steps.Add(new SplitStep(new RunePattern(CharacterClasses.IsWord, runs: true), SplitBehavior.Isolated));
                break;
            default:
                throw part.Error($"has the type '{type}', which is not supported; known are Sequence, ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace and WhitespaceSplit");
        }
    }

    private void ReadByteLevel(JsonPart part)
    {
        part.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
        if (part.Flag("add_prefix_space", true))
        {
            _steps.Add(new PrefixSpaceStep());
        }

        if (part.Flag("use_regex", true))
        {
            _steps.Add(new SplitStep(Gpt2.Value, SplitBehavior.Isolated));
        }

        ByteLevel = true;
    }

    private void ReadMetaspace(JsonPart part)
    {
        part.AllowOnly("type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split");
        (char mark, PrependScheme scheme) = MetaspaceSettings.Read(part);
        _steps.Add(new MetaspaceStep(mark, scheme, part.Flag("split", true)));
    }

    private void AddClass(Func<Rune, bool> isMatch, SplitBehavior behavior) => _steps.Add(new SplitStep(new RunePattern(isMatch), behavior));

    private static SplitBehavior ReadBehavior(JsonPart part) => Enum.TryParse(part.Text(), out SplitBehavior behavior) && part.Text() == behavior.ToString()
        ? behavior
        : throw part.Error($"is '{part.Text()}', allowed are {string.Join(", ", Enum.GetNames<SplitBehavior>())}");

    /// <summary>Puts a step in front of what takes its parts.</summary>
    private sealed class StepSink(PreTokenizerStep step, IWordSink next) : IWordSink
    {
        public void Add(in TextSegment word) => step.Split(word, next);
    }
}

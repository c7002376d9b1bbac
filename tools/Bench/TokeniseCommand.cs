using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench tokenise</c>: how fast text becomes token ids, line by line as data sets are read, and whole.</summary>
/// <remarks>
/// "First" is a text that the tokenizer has never seen: it was loaded for this one measurement and remembers no word. Only the code is
/// warm. "Again" is the same text once more, when its words are remembered.
/// </remarks>
internal static class TokeniseCommand
{
    private const double Megabyte = 1e6;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.5);

    private static readonly Option<string[]> Tokenizers = new("--tokenizer")
    {
        Description = "Model folder, tokenizer.json or tokenizer.model; repeatable. Without it, one of each kind is trained on generated text.",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<string[]> Texts = new("--text")
    {
        Description = "Text or JSON-lines data file; repeatable. Without it, text is generated.",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<int> Repetitions = new("--repetitions")
    {
        Description = "Measurements of each figure, of which the best counts.",
        DefaultValueFactory = _ => 5,
    };

    public static Command Create()
    {
        Command command = new("tokenise", "Measures tokenizers in MB/s, on one thread and on all.") { Tokenizers, Texts, Repetitions };
        command.SetAction(result => Run(result.GetValue(Tokenizers) ?? [], result.GetValue(Texts) ?? [], result.GetValue(Repetitions)));
        return command;
    }

    private static int Run(string[] tokenizerPaths, string[] textPaths, int repetitions)
    {
        if (repetitions is < 1 or > 1000)
        {
            throw new UserErrorException($"--repetitions is {repetitions}, allowed 1 to 1000.");
        }

        IReadOnlyList<BenchmarkText> texts = textPaths.Length > 0 ? [.. textPaths.Select(BenchmarkText.Read)] : [BenchmarkText.Generate()];
        IReadOnlyList<(string Name, Func<ITokenizer> Load)> tokenizers = tokenizerPaths.Length > 0
            ? [.. tokenizerPaths.Select(path => (path, (Func<ITokenizer>)(() => TokenizerFile.Load(path))))]
            : SampleTokenizers.Train();
        int threads = Environment.ProcessorCount;
        Print($"MB/s of UTF-8, best of {repetitions}; first: words never seen before, again: the same text once more");
        Print($"{"",-44}{"1 thread",18}{$"{threads} threads",18}{"",10}");
        Print($"{"tokenizer",-20}{"text",-16}{"MB",-8}{"first",9}{"again",9}{"first",9}{"again",9}{"tokens",12}");
        foreach ((string name, Func<ITokenizer> load) in tokenizers)
        {
            foreach (BenchmarkText text in texts)
            {
                Show(name, $"{text.Name} lines", load, text.Lines, text.Lines, repetitions);
                Show(name, $"{text.Name} whole", load, [text.Whole], [.. Enumerable.Repeat(text.Whole, threads)], repetitions);
            }
        }

        return ToolProgram.Success;
    }

    /// <summary>One line of the table.</summary>
    private static void Show(string tokenizer, string text, Func<ITokenizer> load, string[] forOne, string[] forAll, int repetitions)
    {
        int threads = Environment.ProcessorCount;
        (double first, double again, long tokens) = Measure(load, forOne, threads: 1, repetitions);
        (double firstOfAll, double againOfAll, _) = Measure(load, forAll, threads, repetitions);
        double size = forOne.Sum(line => (long)Encoding.UTF8.GetByteCount(line)) / Megabyte;
        Print($"{Shorten(tokenizer, 19),-20}{Shorten(text, 15),-16}{size,-8:F2}{first,9:F1}{again,9:F1}{firstOfAll,9:F1}{againOfAll,9:F1}{tokens,12}");
    }

    /// <summary>Best rates in MB/s.</summary>
    private static (double First, double Again, long Tokens) Measure(Func<ITokenizer> load, string[] texts, int threads, int repetitions)
    {
        ITokenizer warm = load();
        for (Stopwatch watch = Stopwatch.StartNew(); watch.Elapsed < WarmUp;)
        {
            Encode(warm, texts, threads);
        }

        double size = texts.Sum(line => (long)Encoding.UTF8.GetByteCount(line)) / Megabyte;
        (double first, double again, long tokens) = (0, 0, 0);
        for (int repetition = 0; repetition < repetitions; repetition++)
        {
            ToolProgram.Cancellation.ThrowIfCancellationRequested();
            ITokenizer tokenizer = load();
            GC.Collect();
            first = Math.Max(first, size / Seconds(() => tokens = Encode(tokenizer, texts, threads)));
            GC.Collect();
            again = Math.Max(again, size / Seconds(() => tokens = Encode(tokenizer, texts, threads)));
        }

        return (first, again, tokens);
    }

    /// <summary>Encodes all texts and returns how many tokens they have.</summary>
    private static long Encode(ITokenizer tokenizer, string[] texts, int threads)
    {
        if (threads == 1)
        {
            long tokens = 0;
            foreach (string text in texts)
            {
                tokens += tokenizer.Encode(text).Length;
            }

            return tokens;
        }

        long total = 0;
        Parallel.ForEach(texts, new ParallelOptions { MaxDegreeOfParallelism = threads }, () => 0L, (text, _, sum) => sum + tokenizer.Encode(text).Length, sum => Interlocked.Add(ref total, sum));
        return total;
    }

    private static double Seconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static string Shorten(string text, int length) => text.Length <= length ? text : "…" + text[^(length - 1)..];

    private static void Print(FormattableString line) => System.Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}

using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class TokenSamplerTests
{
    /// <summary>
    /// Truth is float64 of decimal logits, which float32 rounds: half a unit in the last place of 5 is 2.4e-7, ten times that at
    /// temperature 0.1, and a probability moves by at most a quarter of it.
    /// </summary>
    private const double Tolerance = 1e-6;

    [Fact]
    public void Probabilities_GivenGoldenCases_ShouldMatchTransformers()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("text", "sampling.json")));
        JsonElement meta = document.RootElement.GetProperty("meta");
        int[] context = [.. meta.GetProperty("context").EnumerateArray().Select(id => id.GetInt32())];
        int cases = 0;
        foreach (JsonElement item in document.RootElement.GetProperty("cases").EnumerateArray())
        {
            float[] logits = [.. meta.GetProperty("logits").GetProperty(item.GetProperty("logits").GetString()!).EnumerateArray().Select(Score)];
            double[] expected = [.. item.GetProperty("probs").EnumerateArray().Select(value => value.GetDouble())];
            double[] actual = Probabilities(OptionsOf(item.GetProperty("settings")), logits, context);
            string name = $"{item.GetProperty("logits")} {item.GetProperty("settings")}";
            if (item.TryGetProperty("order_dependent", out _))
            {
                Array.Sort(expected);
                Array.Sort(actual);
            }

            double worst = expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max();
            Assert.True(worst <= Tolerance, $"{name}: off by {worst:E2}");
            Assert.True(expected.Zip(actual, (e, a) => (e == 0) == (a == 0)).All(same => same), $"{name}: other tokens are kept");
            cases++;
        }

        Assert.Equal(238, cases);
    }

    [Theory]
    [InlineData(new[] { 1f, 3f, 3f, 2f }, 1)]
    [InlineData(new[] { -1f, -0f, 0f }, 1)]
    [InlineData(new[] { float.NegativeInfinity, -5f }, 1)]
    public void Next_GivenNoTemperature_ShouldTakeTheFirstOfTheHighest(float[] logits, int expected)
    {
        Assert.Equal(expected, new TokenSampler(new SamplingOptions()).Next(logits, [], 0, 0));
        Assert.Equal(expected, new TokenSampler(new SamplingOptions { NoRepeatNgramSize = 9 }).Next(logits, [], 0, 0));
        Assert.Equal(1, Probabilities(new SamplingOptions(), logits, [])[expected]);
    }

    [Fact]
    public void Next_GivenPenaltyWithoutTemperature_ShouldTakeTheHighestOfThePenalized()
    {
        TokenSampler sampler = new(new SamplingOptions { RepetitionPenalty = 2 });
        Assert.Equal(1, sampler.Next([3f, 2f, 1f], [0, 0], 0, 0));
        Assert.Equal(0, sampler.Next([3f, 2f, 1f], [], 0, 0));
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(0.8)]
    public void Next_GivenScoresThatAreNoNumbers_ShouldSaySo(double temperature)
    {
        TokenSampler sampler = new(new SamplingOptions { Temperature = temperature });
        foreach (float bad in new[] { float.NaN, float.PositiveInfinity })
        {
            UserErrorException error = Assert.Throws<UserErrorException>(() => sampler.Next([0f, bad, 1f], [], 0, 0));
            Assert.Contains(bad.ToString(System.Globalization.CultureInfo.InvariantCulture), error.Message, StringComparison.Ordinal);
        }

        Assert.Throws<UserErrorException>(() => sampler.Next([float.NegativeInfinity, float.NegativeInfinity], [], 0, 0));
    }

    [Fact]
    public void Next_GivenEveryTokenBanned_ShouldSaySo() => Assert.Throws<UserErrorException>(
        () => new TokenSampler(new SamplingOptions { NoRepeatNgramSize = 1 }).Next([0f, 1f], [0, 1], 0, 0));

    [Fact]
    public void Next_GivenManySequences_ShouldFollowTheProbabilities()
    {
        SamplingOptions options = new() { Temperature = 1.3, TopK = 6, Seed = 11 };
        float[] logits = [0f, 2f, 1f, -1f, 0.5f, -3f, 1.5f, 0.2f];
        double[] expected = Probabilities(options, logits, []);
        TokenSampler sampler = new(options);
        const int Draws = 40_000;
        int[] counts = new int[logits.Length];
        for (int i = 0; i < Draws; i++)
        {
            counts[sampler.Next(logits, [], i % 200, i / 200)]++;
        }

        for (int id = 0; id < logits.Length; id++)
        {
            // Five standard deviations of a binomial count; exactly none where the probability is 0.
            double deviation = Math.Sqrt(Draws * expected[id] * (1 - expected[id]));
            Assert.True(Math.Abs(counts[id] - (Draws * expected[id])) <= 5 * deviation, $"token {id}: {counts[id]} of {Draws * expected[id]:F0}");
        }
    }

    [Fact]
    public void Next_GivenTheSameSeed_ShouldRepeatItselfAndOtherwiseNot()
    {
        float[] logits = new float[1000];
        int[] first = Draw(1, 0), again = Draw(1, 0), otherSeed = Draw(2, 0), otherSequence = Draw(1, 1);
        Assert.Equal(first, again);
        Assert.True(first.Zip(otherSeed).Count(pair => pair.First == pair.Second) < 5);
        Assert.True(first.Zip(otherSequence).Count(pair => pair.First == pair.Second) < 5);
        Assert.True(first.Distinct().Count() > 80);

        int[] Draw(ulong seed, int sequence)
        {
            TokenSampler sampler = new(new SamplingOptions { Temperature = 1, Seed = seed });
            return [.. Enumerable.Range(0, 100).Select(step => sampler.Next(logits, [], sequence, step))];
        }
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.2)]
    [InlineData(0.01)]
    public void Probabilities_GivenALargeVocabulary_ShouldMatchPlainSorting(double temperature)
    {
        float[] logits = [.. Enumerable.Range(0, 20_000).Select(i => 8 * (RandomState.Uniform(3, i) - 0.5f))];
        foreach ((int k, double p) in new[] { (0, 0.5), (0, 0.999), (0, 0.9999999), (0, 0.0), (50, 0.9), (5000, 0.95), (19_999, 1.0), (1, 1.0) })
        {
            double[] actual = Probabilities(new SamplingOptions { Temperature = temperature, TopK = k, TopP = p }, logits, []);
            double[] expected = Plain(logits, temperature, k, p);
            Assert.Equal(expected.Count(value => value > 0), actual.Count(value => value > 0));
            Assert.True(expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max() <= 1e-12, $"k {k}, p {p}");
        }
    }

    [Fact]
    public void Next_GivenWarmBuffers_ShouldAllocateNothing()
    {
        TokenSampler sampler = new(new SamplingOptions { Temperature = 0.8, TopK = 40, TopP = 0.9, MinP = 0.01, TypicalP = 0.95, RepetitionPenalty = 1.1, NoRepeatNgramSize = 3 });
        float[] logits = [.. Enumerable.Range(0, 5000).Select(i => RandomState.Uniform(3, i))];
        int[] context = [1, 2, 3, 1, 2];
        sampler.Next(logits, context, 0, 0);

        Assert.Equal(0, Allocation.Of(() =>
        {
            for (int step = 1; step <= 10; step++)
            {
                sampler.Next(logits, context, 0, step);
            }
        }));
    }

    public static TheoryData<string, SamplingOptions> WrongOptions => new()
    {
        { "max new tokens is 0", new SamplingOptions { MaxNewTokens = 0 } },
        { "temperature is -0.1", new SamplingOptions { Temperature = -0.1 } },
        { "temperature is NaN", new SamplingOptions { Temperature = double.NaN } },
        { "temperature is Infinity", new SamplingOptions { Temperature = double.PositiveInfinity } },
        { "top-k is -1", new SamplingOptions { TopK = -1 } },
        { "top-p is 1.5", new SamplingOptions { TopP = 1.5 } },
        { "top-p is NaN", new SamplingOptions { TopP = double.NaN } },
        { "min-p is -0.5", new SamplingOptions { MinP = -0.5 } },
        { "typical-p is 0", new SamplingOptions { TypicalP = 0 } },
        { "repetition penalty is 0", new SamplingOptions { RepetitionPenalty = 0 } },
        { "n-gram size is -2", new SamplingOptions { NoRepeatNgramSize = -2 } },
        { "stop string is empty", new SamplingOptions { StopStrings = ["a", ""] } },
    };

    [Theory]
    [MemberData(nameof(WrongOptions))]
    public void Create_GivenAnOptionOutOfRange_ShouldNameIt(string message, SamplingOptions options) =>
        Assert.Contains(message, Assert.Throws<UserErrorException>(() => new TokenSampler(options)).Message, StringComparison.Ordinal);

    private static double[] Probabilities(SamplingOptions options, float[] logits, int[] context)
    {
        double[] probabilities = new double[logits.Length];
        new TokenSampler(options).Probabilities(logits, context, probabilities);
        return probabilities;
    }

    /// <summary>Top-k, then top-p, by sorting everything.</summary>
    private static double[] Plain(float[] logits, double temperature, int k, double p)
    {
        double[] scores = [.. logits.Select(logit => logit / temperature)];
        double lowest = k == 0 ? double.NegativeInfinity : scores.OrderDescending().ElementAt(k - 1);
        double[] weights = [.. scores.Select(score => score >= lowest ? Math.Exp(score - scores.Max()) : 0)];
        double total = weights.Sum(), sum = 0;
        foreach (int id in Enumerable.Range(0, weights.Length).OrderBy(id => weights[id]).ThenByDescending(id => id).SkipLast(1))
        {
            sum += weights[id] / total;
            weights[id] = sum <= 1 - p ? 0 : weights[id];
        }

        double kept = weights.Sum();
        return [.. weights.Select(weight => weight / kept)];
    }

    private static float Score(JsonElement value) => value.ValueKind == JsonValueKind.String ? float.NegativeInfinity : (float)value.GetDouble();

    private static SamplingOptions OptionsOf(JsonElement settings)
    {
        double Number(string name, double fallback) => settings.TryGetProperty(name, out JsonElement value) ? value.GetDouble() : fallback;
        Assert.All(settings.EnumerateObject(), setting => Assert.Contains(
            setting.Name, new[] { "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size" }));
        return new SamplingOptions
        {
            Temperature = Number("temperature", 1),
            TopK = (int)Number("top_k", 0),
            TopP = Number("top_p", 1),
            MinP = Number("min_p", 0),
            TypicalP = Number("typical_p", 1),
            RepetitionPenalty = Number("repetition_penalty", 1),
            NoRepeatNgramSize = (int)Number("no_repeat_ngram_size", 0),
        };
    }
}

using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Exact match of a model on a set of problems, with every sample.</summary>
public sealed record EvaluationResult
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>What was measured, such as <c>int4</c> or <c>step-200</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Problems answered right.</summary>
    public required int Correct { get; init; }

    /// <summary>Problems asked.</summary>
    public required int Count { get; init; }

    /// <summary>Correct / Count.</summary>
    public required double ExactMatch { get; init; }

    /// <summary>Standard error of <see cref="ExactMatch"/>; null for fewer than two problems.</summary>
    public double? StandardError { get; init; }

    /// <summary>Task of lm-evaluation-harness whose prompt and stop strings were used.</summary>
    public required string Task { get; init; }

    /// <summary>Solved problems before each question.</summary>
    public required int Shots { get; init; }

    /// <summary>How answers were taken from texts.</summary>
    public required ScoringRule Rule { get; init; }

    /// <summary>Rounding of the operands of matrix products.</summary>
    public required Precision Precision { get; init; }

    /// <summary>What computed it, such as <c>cpu, avx512-bf16, 2 threads</c>; null in results of earlier versions.</summary>
    public string? Device { get; init; }

    /// <summary>Tokens of an answer at most.</summary>
    public required int MaxNewTokens { get; init; }

    /// <summary>Duration.</summary>
    public required double Seconds { get; init; }

    /// <summary>Every problem with what was written.</summary>
    public required IReadOnlyList<EvaluationSample> Samples { get; init; }

    /// <summary>Exact match ± standard error.</summary>
    [JsonIgnore]
    public Accuracy Accuracy => Accuracy.Of(Correct, Count);

    /// <summary>Writes the result as JSON.</summary>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, Json) + "\n");

    /// <summary>Reads a result that <see cref="Save"/> wrote.</summary>
    /// <exception cref="UserErrorException">The file is damaged.</exception>
    public static EvaluationResult Load(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<EvaluationResult>(File.ReadAllText(path), Json) ?? throw new JsonException("it is empty");
        }
        catch (Exception exception) when (exception is JsonException or IOException)
        {
            throw new UserErrorException($"{path} is damaged ({exception.Message}); delete it, and it is measured again.", exception);
        }
    }
}

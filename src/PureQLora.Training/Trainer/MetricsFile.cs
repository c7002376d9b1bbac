using System.Text;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary><c>metrics.jsonl</c>: one line a step, appended and flushed as the step ends.</summary>
public sealed class MetricsFile : IDisposable
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };
    private readonly FileStream _stream;

    /// <summary>Opens the file; lines of steps that are going to be done again are cut off.</summary>
    /// <param name="path">File to append to.</param>
    /// <param name="afterStep">Last step that counts.</param>
    public MetricsFile(string path, int afterStep)
    {
        List<StepMetrics> kept = [.. Read(path).Where(line => line.Step <= afterStep)];
        Models.AtomicFile.WriteText(path, string.Concat(kept.Select(Line)));
        _stream = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
    }

    /// <summary>Appends a step.</summary>
    /// <exception cref="UserErrorException">The disk is full.</exception>
    public void Append(StepMetrics metrics)
    {
        try
        {
            _stream.Write(Encoding.UTF8.GetBytes(Line(metrics)));
            _stream.Flush();
        }
        catch (IOException exception)
        {
            throw new UserErrorException($"{_stream.Name} could not be written ({exception.Message}); the checkpoints are intact. Free space and resume.", exception);
        }
    }

    /// <summary>All whole lines of a file; a last line that a killed run left unfinished is ignored.</summary>
    public static IReadOnlyList<StepMetrics> Read(string path)
    {
        List<StepMetrics> lines = [];
        foreach (string line in File.Exists(path) ? File.ReadLines(path) : [])
        {
            try
            {
                lines.Add(JsonSerializer.Deserialize<StepMetrics>(line, Json));
            }
            catch (JsonException)
            {
                break;
            }
        }

        return lines;
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _stream.Dispose();

    private static string Line(StepMetrics metrics) => JsonSerializer.Serialize(metrics, Json) + "\n";
}

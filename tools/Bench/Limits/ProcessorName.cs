using System.Globalization;
using System.Runtime.InteropServices;

namespace PureQLora.Tools.Bench;

/// <summary>What the figures were measured on.</summary>
internal static class ProcessorName
{
    private const string ProcessorList = "/proc/cpuinfo";

    /// <summary>Such as <c>AMD EPYC (family 26, model 2)</c>; only the architecture where the system does not say more.</summary>
    public static string Read()
    {
        if (!File.Exists(ProcessorList))
        {
            return $"{RuntimeInformation.ProcessArchitecture} ({RuntimeInformation.OSDescription})";
        }

        Dictionary<string, string> first = new(StringComparer.Ordinal);
        foreach (string line in File.ReadLines(ProcessorList).TakeWhile(line => line.Length > 0))
        {
            string[] pair = line.Split(':', 2, StringSplitOptions.TrimEntries);
            first[pair[0]] = pair[^1];
        }

        string name = first.GetValueOrDefault("model name") ?? RuntimeInformation.ProcessArchitecture.ToString();
        return first.TryGetValue("cpu family", out string? family) && first.TryGetValue("model", out string? model)
            ? string.Create(CultureInfo.InvariantCulture, $"{name} (family {family}, model {model})")
            : name;
    }
}

namespace PureQLora.Tools.Bench;

/// <summary>A program of a peer that lies in this assembly, written to a temporary folder while it runs.</summary>
internal sealed class PeerScript : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pureqlora-bench-");

    /// <param name="name">File name of the embedded script.</param>
    /// <param name="others">Scripts that it imports.</param>
    public PeerScript(string name, params ReadOnlySpan<string> others)
    {
        Path = Write(name);
        foreach (string other in others)
        {
            Write(other);
        }
    }

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Deletes it.</summary>
    public void Dispose() => _folder.Delete(recursive: true);

    private string Write(string name)
    {
        string path = System.IO.Path.Combine(_folder.FullName, name);
        using Stream script = typeof(PeerScript).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The assembly has no script {name}.");
        using FileStream file = File.Create(path);
        script.CopyTo(file);
        return path;
    }
}

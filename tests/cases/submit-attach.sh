# exit: 5
id=$(flux submit sh -c 'echo one; exit 5')
flux job attach $id
